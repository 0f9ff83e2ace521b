"""Periods of finished tasks: the table `periods`, and the partitions of each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from signalbox.messages.periods import BEFORE
from signalbox.postgres.pool import Connection
from signalbox_reconciler.partitions.leaves import leaf, leaves, make_leaves
from signalbox_reconciler.partitions.locks import lock_tables

FinishedStatus = Literal["completed", "failed"]

#: Seconds for counting what a partition holds.
_COUNT_TIMEOUT = 3600.0

_SELECT = "SELECT period, status, begins, detached FROM periods ORDER BY begins, abs(period), period"
_ADD = f"""
INSERT INTO periods (period, status)
SELECT CASE $1::text WHEN 'completed' THEN n ELSE -n END, $1
FROM (SELECT COALESCE(max(abs(period)), {BEFORE}) + 1 AS n FROM periods WHERE status = $1) AS next
RETURNING period
"""  # noqa: S608 - our own numbers

#: As the triggers do for a deletion.
_SUBTRACT = """
WITH subtracted AS (
    INSERT INTO task_count_deltas (dimension, value, detail, status, tasks)
    SELECT d.dimension, d.value, d.detail, t.status, -sum(t.tasks)
    FROM (
        SELECT status, outcome, name, celery_name, queue, host, count(*) AS tasks
        FROM {0} GROUP BY 1, 2, 3, 4, 5, 6
    ) AS t CROSS JOIN LATERAL (VALUES
        ('status', t.status, ''), ('outcome', t.outcome, ''), ('name', t.name, t.celery_name),
        ('queue', t.queue, ''), ('host', t.host, '')
    ) AS d (dimension, value, detail)
    WHERE d.value <> ''
    GROUP BY 1, 2, 3, 4 RETURNING dimension, tasks
)
SELECT COALESCE(-sum(tasks), 0)::bigint FROM subtracted WHERE dimension = 'status'
"""
#: An id that came to life again since they were detached waits as a new task.
_DROP_WAITS = """
DELETE FROM task_waits AS w WHERE EXISTS (SELECT FROM {0} AS t WHERE t.task_id = w.task_id)
    AND NOT EXISTS (SELECT FROM open_tasks AS o WHERE o.task_id = w.task_id)
"""


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A period of finished tasks; it ends where the next one of its status begins."""

    period: int
    #: None: of any status, from before there were periods.
    status: FinishedStatus | None
    begins: datetime
    #: Out of the tables already, and yet to be dropped.
    detached: bool = False


async def read_periods(connection: Connection) -> Sequence[Period]:
    """All periods, the oldest first."""
    return [Period(**row) for row in await connection.fetch(_SELECT)]


async def add_period(connection: Connection, status: FinishedStatus) -> int:
    """Begin a new period of a status, inside the caller's transaction; return its number."""
    period = int(await connection.fetchval(_ADD, status))
    await make_leaves(connection, period)
    return period


async def detach_period(connection: Connection, period: int) -> None:
    """Take the partitions of a period out of their tables, inside the caller's transaction.

    What they hold is not found any more. A task in them that comes to life meanwhile comes first, or is one that nobody
    knows.

    Raises:
        DatabaseUnavailable: the tables are in use; try again later.
    """
    await lock_tables(connection)
    for table, name in leaves(period):
        await connection.execute(f"ALTER TABLE {table} DETACH PARTITION {name}")
    await connection.execute("UPDATE periods SET detached = true WHERE period = $1", period)


async def drop_period(connection: Connection, period: int) -> int:
    """Drop the partitions of a period that are detached, and count what they hold no more; return how many tasks.

    Inside the caller's transaction. Nobody changes them by then, so that counting holds up nobody.
    """
    tasks = leaf("tasks", period)
    dropped = await connection.fetchval(_SUBTRACT.format(tasks), timeout=_COUNT_TIMEOUT)
    await connection.execute(_DROP_WAITS.format(tasks), timeout=_COUNT_TIMEOUT)
    for _, name in leaves(period):
        await connection.execute(f"DROP TABLE {name}")
    await connection.execute("DELETE FROM periods WHERE period = $1", period)
    return int(dropped)
