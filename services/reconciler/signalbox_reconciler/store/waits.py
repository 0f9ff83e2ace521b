"""Deliveries that wait in a worker: the table `task_waits`."""

from collections.abc import Collection

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.rows import WaitRow
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest

_FACT = {
    "confirmed": "boolean",
    "precedence": "bigint",
    "retries": "integer",
    "host": "text",
    "worker": "text",
}
_COLUMNS = {"task_id": "text", "run": "text", **_FACT}

#: A delivery that has a log waits no more, whichever is recorded first.
_UPSERT = f"""
INSERT INTO task_waits AS w ({names(_COLUMNS)})
SELECT {names(_COLUMNS)} FROM {unnest(_COLUMNS)} AS new ({names(_COLUMNS)})
WHERE NOT EXISTS (SELECT FROM task_logs AS l WHERE l.task_id = new.task_id AND l.delivery = new.run)
ON CONFLICT (task_id, run) DO UPDATE SET {assignments(_FACT, "EXCLUDED.{}")}
WHERE (EXCLUDED.confirmed, EXCLUDED.precedence) > (w.confirmed, w.precedence)
"""  # noqa: S608 - names of our own columns

_END = """
DELETE FROM task_waits AS w USING unnest($1::text[], $2::text[]) AS begun (task_id, run)
WHERE w.task_id = begun.task_id AND w.run = begun.run
"""


async def upsert_waits(connection: Connection, rows: Collection[WaitRow]) -> None:
    """Merge rows of distinct deliveries; call it after their logs are written."""
    ordered = sorted(rows, key=lambda row: (row.task_id, row.run))
    await connection.execute(_UPSERT, *arrays(_COLUMNS, ordered))


async def end_waits(connection: Connection, begun: Collection[tuple[str, str]]) -> None:
    """Delete the waits of deliveries that have a log, by task id and delivery."""
    await connection.execute(_END, *zip(*sorted(begun), strict=True))
