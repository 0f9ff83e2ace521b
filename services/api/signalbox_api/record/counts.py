"""Counts of tasks, as the reconciler keeps them: sums, and deltas that have yet to be folded into those."""

from collections.abc import Sequence

import msgspec

from signalbox.postgres.pool import Connection

_COUNTS = """
SELECT dimension, value, sum(tasks)::bigint AS total,
    COALESCE(sum(tasks) FILTER (WHERE status = 'pending'), 0)::bigint AS pending,
    COALESCE(sum(tasks) FILTER (WHERE status = 'running'), 0)::bigint AS running,
    COALESCE(sum(tasks) FILTER (WHERE status = 'completed'), 0)::bigint AS completed,
    COALESCE(sum(tasks) FILTER (WHERE status = 'failed'), 0)::bigint AS failed
FROM (SELECT * FROM task_counts UNION ALL SELECT * FROM task_count_deltas) AS kept
GROUP BY dimension, value HAVING sum(tasks) > 0 ORDER BY dimension, total DESC, value
"""


class TaskCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many tasks have a value in common, in all and by status."""

    value: str
    total: int
    pending: int
    running: int
    completed: int
    failed: int


class TaskCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many tasks there are by each of what they can be filtered by, the most frequent value first."""

    status: Sequence[TaskCount]
    outcome: Sequence[TaskCount]
    name: Sequence[TaskCount]
    queue: Sequence[TaskCount]
    host: Sequence[TaskCount]


async def read_counts(connection: Connection) -> TaskCounts:
    """All counts as they are committed now."""
    counts: dict[str, list[TaskCount]] = {dimension: [] for dimension in TaskCounts.__struct_fields__}
    for row in await connection.fetch(_COUNTS):
        fields = dict(row)
        counts[fields.pop("dimension")].append(TaskCount(**fields))
    return TaskCounts(**counts)
