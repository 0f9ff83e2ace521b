"""Cancels applied to their tasks: which cancel a task shows, and the end of tasks that will not run."""

from collections.abc import Collection

from signalbox.messages.verdicts import CANCELLED, CANCELLED_ERROR
from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.rows import VerdictRow
from signalbox_reconciler.store import views

#: Of the cancels that had an effect, the first one.
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
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608 - names of our own columns

#: Only the report of its own host ends a run: delivered twice, it may run on elsewhere.
_END_TASKS = f"""
UPDATE tasks AS t SET phase = 4, confirmed = true, precedence = -(EXTRACT(EPOCH FROM e.at) * 1000000)::bigint,
    status = 'failed', outcome = 'cancelled', error = '{CANCELLED_ERROR}', finished_at = e.at, cancel_kill_at = NULL,
    updated_at = now()
FROM {{ended}}
WHERE t.task_id = e.task_id
    AND (t.status = 'pending' OR (e.ran AND t.status = 'running' AND t.host = e.host AND t.started_at <= e.at))
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608
_END_REPORTED = _END_TASKS.format(
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
RETURNING {views.columns("log", "l.")}
"""  # noqa: S608


#: A task and its cancel that were recorded at the same moment by different reconcilers.
_UNAPPLIED = """
SELECT DISTINCT c.task_id FROM cancels AS c JOIN tasks AS t USING (task_id)
WHERE COALESCE(c.issued_at, c.finished_at) > now() - interval '10 minutes' AND c.issued_at IS NOT NULL
    AND c.state NOT IN ('refused', 'unsupported')
    AND (c.state <> 'unknown' OR t.status <> 'running')
    AND (t.cancel_command_id IS NULL OR (t.status = 'pending' AND c.state IN ('cancelled', 'dropped')))
LIMIT 500
"""


async def end_cancelled(connection: Connection, verdicts: Collection[VerdictRow], changed: views.ChangedViews) -> None:
    """End tasks that a host reports as cancelled, in case their own event is missing."""
    ended = sorted((v.task_id, v.at, v.host, v.verdict == "cancelled") for v in verdicts if v.verdict in CANCELLED)
    if not ended:
        return
    tasks = await connection.fetch(_END_REPORTED, *zip(*ended, strict=True))
    if tasks:
        changed.add("task", tasks)
        changed.add("log", await connection.fetch(_END_LOGS, [row["task_id"] for row in tasks]))


async def apply_cancels(connection: Connection, task_ids: Collection[str], changed: views.ChangedViews) -> None:
    """Show on tasks which cancel was requested, and end those that wait and will not run.

    It depends on the present state only, so it may be called at any time, any number of times.
    """
    changed.add("task", await connection.fetch(_INTENTS, list(task_ids)))
    changed.add("task", await connection.fetch(_END_WAITING, list(task_ids)))


async def unapplied_cancels(connection: Connection, _: views.ChangedViews) -> list[str]:
    """The ids of tasks to which a cancel is not applied yet, as both were recorded at the same moment."""
    return [row["task_id"] for row in await connection.fetch(_UNAPPLIED)]
