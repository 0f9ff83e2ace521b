"""Time that passes for the periods of the record, and rounds of retention."""

from datetime import timedelta

from signalbox.messages.events import AnyEvent
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.retention.rules import Keep
from signalbox_reconciler.store import write_batch

#: As the settings have it.
KEEP: Keep = {"completed": timedelta(days=30), "failed": timedelta(days=30)}

#: What is kept and not counted, or counted and not kept.
DIFFERENCE = """
WITH kept AS (
    SELECT status, sum(tasks)::bigint AS tasks FROM (
        SELECT * FROM task_counts UNION ALL SELECT * FROM task_count_deltas
    ) AS counts WHERE dimension = 'status' GROUP BY status HAVING sum(tasks) <> 0
), counted AS (
    SELECT status, count(*) AS tasks FROM tasks GROUP BY status
)
SELECT * FROM kept FULL JOIN counted USING (status, tasks) WHERE kept.status IS NULL OR counted.status IS NULL
"""


async def write(database: Database, *events: AnyEvent) -> None:
    """Write events into the record, as one batch."""
    async with database.transaction() as connection:
        await write_batch(connection, fold(events))


async def pass_days(database: Database, days: float) -> None:
    """Have all periods begin so many days earlier."""
    async with database.connection() as connection:
        await connection.execute("UPDATE periods SET begins = begins - $1::interval", timedelta(days=days))


async def keep_round(database: Database, keep: Keep = KEEP, commands: timedelta = timedelta(days=365)) -> None:
    """One round of retention, in which all that is due can be done."""
    assert await Retention(database, keep, commands).round()


async def month_passes(database: Database, keep: Keep = KEEP) -> None:
    """What is finished now is older than 30 days afterwards, and gone."""
    for days in (6, 31):
        await pass_days(database, days)
        await keep_round(database, keep)


async def places(connection: Connection) -> dict[str, str]:
    """In which partition each task is."""
    rows = await connection.fetch("SELECT task_id, tableoid::regclass::text AS place FROM tasks")
    return {row["task_id"]: row["place"] for row in rows}
