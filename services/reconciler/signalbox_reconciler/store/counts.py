"""Counts of tasks: the sums that the api reads, and the deltas that each change of tasks adds; see migration 0016."""

from signalbox.postgres.pool import Connection

#: Held by whoever changes the sums; `recount_tasks` waits for it.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('signalbox task counts'))"
_FOLD = """
WITH folded AS (
    DELETE FROM task_count_deltas RETURNING *
), added AS (
    SELECT dimension, value, detail, status, sum(tasks) AS tasks
    FROM folded GROUP BY 1, 2, 3, 4 HAVING sum(tasks) <> 0
), updated AS (
    UPDATE task_counts AS c SET tasks = c.tasks + a.tasks FROM added AS a
    WHERE (c.dimension, c.value, c.detail, c.status) = (a.dimension, a.value, a.detail, a.status)
    RETURNING c.dimension, c.value, c.detail, c.status
)
INSERT INTO task_counts (dimension, value, detail, status, tasks)
SELECT dimension, value, detail, status, tasks FROM added AS a WHERE NOT EXISTS (
    SELECT FROM updated AS u
    WHERE (u.dimension, u.value, u.detail, u.status) = (a.dimension, a.value, a.detail, a.status)
)
"""


async def fold_counts(connection: Connection) -> None:
    """Fold the deltas that are committed into the sums, unless another reconciler does so now."""
    if await connection.fetchval(_LOCK):
        await connection.execute(_FOLD)
        await connection.execute("DELETE FROM task_counts WHERE tasks = 0")
