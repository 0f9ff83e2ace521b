"""Releases of cancelled ids: the table `allows`. Cancels that were given before a release of their task are void."""

from collections.abc import Iterable
from datetime import datetime

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.commands import CommandRow

#: That a cancel `c` is not void; in SQL.
HOLDS = "NOT EXISTS (SELECT FROM allows AS a WHERE a.task_id = c.task_id AND a.issued_at >= c.issued_at)"

_UPSERT = """
INSERT INTO allows AS a (task_id, issued_at, command_id)
SELECT DISTINCT ON (task_id) *
FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS n (task_id, issued_at, command_id)
ORDER BY task_id, issued_at DESC, command_id
ON CONFLICT (task_id) DO UPDATE SET issued_at = EXCLUDED.issued_at, command_id = EXCLUDED.command_id
WHERE EXCLUDED.issued_at > a.issued_at
"""

#: Of a task with an ETA, the cancel is remembered until after that.
_UNTIL = """
SELECT a.task_id, GREATEST(a.issued_at, t.eta) AS since FROM allows AS a LEFT JOIN tasks AS t USING (task_id)
WHERE a.command_id = ANY($1::text[])
"""


async def insert_allows(connection: Connection, rows: Iterable[CommandRow]) -> set[str]:
    """Record the releases among these commands; return the ids of their tasks."""
    allows = [(row.allows, row.issued_at, row.command_id) for row in rows if row.allows]
    if allows:
        await connection.execute(_UPSERT, *zip(*allows, strict=True))
    return {task_id for task_id, _, _ in allows}


async def allows_of(connection: Connection, command_ids: Iterable[str]) -> dict[str, datetime]:
    """The tasks that these commands released last, with the time up to which their cancels are void."""
    return {row["task_id"]: row["since"] for row in await connection.fetch(_UNTIL, list(command_ids))}
