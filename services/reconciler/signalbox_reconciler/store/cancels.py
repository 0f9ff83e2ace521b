"""What cancels mean for the tasks that they are about."""

from collections.abc import Collection

from signalbox.messages.receipts import CANCELLED
from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.rows import VerdictRow
from signalbox_reconciler.store import shown

#: What a cancelled task and its log say.
ERROR = "Task cancelled manually"

#: Of the cancels that did not come to nothing, the one that was asked for first.
_INTENTS = f"""
UPDATE tasks AS t
SET cancel_requested_at = asked.issued_at, cancel_command_id = asked.command_id, updated_at = now()
FROM (
    SELECT k.task_id, first.issued_at, first.command_id
    FROM tasks AS k LEFT JOIN LATERAL (
        SELECT c.issued_at, c.command_id FROM cancels AS c
        WHERE c.task_id = k.task_id AND c.issued_at IS NOT NULL AND c.state NOT IN ('refused', 'unsupported')
            AND (c.state <> 'unknown' OR k.status <> 'running')
        ORDER BY c.issued_at, c.command_id LIMIT 1
    ) AS first ON true
    WHERE k.task_id = ANY($1::text[])
) AS asked
WHERE t.task_id = asked.task_id AND t.cancel_command_id IS DISTINCT FROM asked.command_id
RETURNING {shown.columns("task", "t.")}
"""  # noqa: S608 - names of our own columns

#: A run ends by the word of its own host only: delivered twice, it may live on elsewhere.
_END_TASKS = f"""
UPDATE tasks AS t SET phase = 4, confirmed = true, precedence = -(EXTRACT(EPOCH FROM e.at) * 1000000)::bigint,
    status = 'failed', outcome = 'cancelled', error = '{ERROR}', finished_at = e.at, cancel_kill_at = NULL,
    updated_at = now()
FROM {{ended}}
WHERE t.task_id = e.task_id
    AND (t.status = 'pending' OR (e.ran AND t.status = 'running' AND t.host = e.host AND t.started_at <= e.at))
RETURNING {shown.columns("task", "t.")}
"""  # noqa: S608
_END_SEEN = _END_TASKS.format(
    ended="unnest($1::text[], $2::timestamptz[], $3::text[], $4::boolean[]) AS e (task_id, at, host, ran)"
)
_END_WAITING = _END_TASKS.format(
    ended="""(
    SELECT DISTINCT ON (task_id) task_id, finished_at AS at, '' AS host, false AS ran FROM cancels
    WHERE task_id = ANY($1::text[]) AND state IN ('cancelled', 'dropped') ORDER BY task_id, finished_at
) AS e"""
)

_END_LOGS = f"""
UPDATE task_logs AS l SET phase = 4, confirmed = true, precedence = t.precedence, status = t.status,
    outcome = t.outcome, error = t.error, finished_at = t.finished_at
FROM tasks AS t
WHERE t.task_id = ANY($1::text[]) AND l.task_id = t.task_id AND l.run = t.run AND l.status = 'running'
RETURNING {shown.columns("log", "l.")}
"""  # noqa: S608


#: A task and the cancel of it that were recorded at the same moment, by different hands.
_UNSETTLED = """
SELECT DISTINCT c.task_id FROM cancels AS c JOIN tasks AS t USING (task_id)
WHERE COALESCE(c.issued_at, c.finished_at) > now() - interval '10 minutes' AND c.issued_at IS NOT NULL
    AND c.state NOT IN ('refused', 'unsupported')
    AND (c.state <> 'unknown' OR t.status <> 'running')
    AND (t.cancel_command_id IS NULL OR (t.status = 'pending' AND c.state IN ('cancelled', 'dropped')))
LIMIT 500
"""


async def end_cancelled(connection: Connection, verdicts: Collection[VerdictRow], seen: shown.Shown) -> None:
    """Make sure that tasks have ended of which a host says that it ended them, should their own event be missing."""
    ended = sorted((v.task_id, v.at, v.host, v.verdict == "cancelled") for v in verdicts if v.verdict in CANCELLED)
    if not ended:
        return
    tasks = await connection.fetch(_END_SEEN, *zip(*ended, strict=True))
    if tasks:
        seen.add("task", tasks)
        seen.add("log", await connection.fetch(_END_LOGS, [row["task_id"] for row in tasks]))


async def settle_cancels(connection: Connection, task_ids: Collection[str], seen: shown.Shown) -> None:
    """Show on tasks which cancel was asked for, and end those that wait and will not run.

    It looks at nothing but the present state, so it may be called at any time and as often as one likes.
    """
    seen.add("task", await connection.fetch(_INTENTS, list(task_ids)))
    seen.add("task", await connection.fetch(_END_WAITING, list(task_ids)))


async def unsettled(connection: Connection) -> list[str]:
    """The ids of tasks that do not show what their cancels mean for them."""
    return [row["task_id"] for row in await connection.fetch(_UNSETTLED)]
