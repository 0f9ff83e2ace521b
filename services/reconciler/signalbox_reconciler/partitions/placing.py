"""Places of tasks: the tasks that a transaction writes are among the open ones from its beginning to its end.

So what writes tasks and runs knows `open_tasks` and `open_task_logs` only, which are small; finished tasks that it is
about are fetched first. At the end the finished ones go to the present period of their status, with their logs.

An id is unique in each partition, and in all of them by this: who adds a task adds it to the open ones, where one waits
for the other, and looks for it elsewhere after that. Who moves one adds it there, too, or takes it away from there.
"""

from collections.abc import Collection

from signalbox.messages.periods import OPEN
from signalbox.postgres.pool import Connection

_FETCH = f"""
WITH found AS (
    UPDATE tasks AS t SET period = {OPEN} WHERE t.period <> {OPEN} AND t.task_id = ANY($1::text[]) RETURNING t.task_id
), logs AS (
    UPDATE task_logs AS l SET period = {OPEN} FROM found AS f WHERE l.period <> {OPEN} AND l.task_id = f.task_id
)
SELECT task_id FROM found
"""  # noqa: S608 - our own numbers

#: The period that has begun last; one that begins while we write is for those after us.
_SETTLE = f"""
WITH present AS (
    SELECT DISTINCT ON (status) status, period FROM periods
    WHERE status IS NOT NULL AND begins <= now() AND NOT detached ORDER BY status, begins DESC, abs(period) DESC
), settled AS (
    UPDATE tasks AS t SET period = p.period FROM present AS p
    WHERE t.period = {OPEN} AND t.task_id = ANY($1::text[]) AND t.finished_at IS NOT NULL AND p.status = t.status
    RETURNING t.task_id, t.period
)
UPDATE task_logs AS l SET period = s.period FROM settled AS s WHERE l.period = {OPEN} AND l.task_id = s.task_id
"""  # noqa: S608


async def fetch_finished(connection: Connection, task_ids: Collection[str]) -> set[str]:
    """Have the finished ones of these tasks among the open ones until the transaction ends; return their ids.

    They, too, are to be settled then.
    """
    return {row["task_id"] for row in await connection.fetch(_FETCH, sorted(task_ids))}


async def settle(connection: Connection, task_ids: Collection[str]) -> None:
    """Give the finished ones of these tasks, which a transaction has changed or fetched, their place; call it last."""
    if task_ids:
        await connection.execute(_SETTLE, sorted(task_ids))
