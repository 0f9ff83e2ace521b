"""Cancels applied to their tasks: which cancel a task shows, and the end of tasks that will not run."""

from collections.abc import Collection
from datetime import datetime

from signalbox.messages.verdicts import CANCELLED, CANCELLED_ERROR
from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.rows import VerdictRow
from signalbox_reconciler.store import views
from signalbox_reconciler.store.allows import HOLDS
from signalbox_reconciler.store.tasks import lock_tasks, show_liveliest

#: Of the cancels that had an effect, the first one.
_INTENTS = f"""
UPDATE tasks AS t
SET cancel_requested_at = asked.issued_at, cancel_command_id = asked.command_id, updated_at = now()
FROM (
    SELECT k.task_id, k.period, first.issued_at, first.command_id
    FROM tasks AS k LEFT JOIN LATERAL (
        SELECT c.issued_at, c.command_id FROM cancels AS c
        WHERE c.task_id = k.task_id AND c.issued_at IS NOT NULL AND c.state NOT IN ('refused', 'unsupported')
            AND (c.state <> 'unknown' OR k.status <> 'running')
            AND (k.status NOT IN ('pending', 'running') OR {HOLDS})
        ORDER BY c.issued_at, c.command_id LIMIT 1
    ) AS first ON true
    WHERE k.task_id = ANY($1::text[])
) AS asked
WHERE t.task_id = asked.task_id AND t.period = asked.period AND t.cancel_command_id IS DISTINCT FROM asked.command_id
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608 - names of our own columns

#: How a run, or a delivery, ends by a cancel at the time `e.at`.
_END = f"""phase = 4, confirmed = true, precedence = -(EXTRACT(EPOCH FROM e.at) * 1000000)::bigint,
    status = 'failed', outcome = 'cancelled', error = '{CANCELLED_ERROR}', finished_at = e.at"""

#: Only the report of its own host ends a run: it may run elsewhere, too.
_END_RUNS = f"""
UPDATE open_task_logs AS l SET {_END}, cancel_kill_at = NULL
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::boolean[]) AS e (task_id, at, host, ran)
WHERE e.ran AND l.task_id = e.task_id AND l.host = e.host AND l.status = 'running' AND l.started_at <= e.at
RETURNING {views.columns("log", "l.")}
"""  # noqa: S608

#: Weaker than what a worker says of the end of a delivery, whenever that was.
_WEAKEST = -(1 << 62)

_ENDED_LOG = (
    "task_id, run, delivery, attempt, phase, confirmed, precedence, status, outcome, error, retries, host, worker,"
    " finished_at"
)
_ENDED_VALUES = f"""4, true, {_WEAKEST}, 'failed', 'cancelled',
    '{CANCELLED_ERROR}'"""

#: Deliveries that wait, where the task waits or on the host that dropped it; each gets a log.
_END_WAITS = f"""
WITH ended AS (
    DELETE FROM task_waits AS w
    USING unnest($1::text[], $2::timestamptz[], $3::text[]) AS e (task_id, at, host), open_tasks AS t
    WHERE w.task_id = e.task_id AND t.task_id = e.task_id AND (t.status = 'pending' OR w.host = e.host)
    RETURNING w.*, e.at
)
INSERT INTO open_task_logs AS l ({_ENDED_LOG})
SELECT task_id, run, run, retries + 1, {_ENDED_VALUES}, retries, host, worker, e.at FROM ended AS e
ON CONFLICT (task_id, run) DO NOTHING
RETURNING {views.columns("log")}
"""  # noqa: S608

#: A task that still waits has given itself back, or will be tried again: its next delivery ends before it came.
_END_NEXT = f"""
INSERT INTO open_task_logs AS l ({_ENDED_LOG})
SELECT t.task_id, e.next, e.next, t.attempt + 1, {_ENDED_VALUES}, t.retries, NULL, NULL, e.at
FROM (
    SELECT k.task_id, e.at, format('%s.%s.cancelled.w0', k.retries,
        GREATEST(trunc(EXTRACT(EPOCH FROM e.at) * 1000), (run_order(k.run))[2] + 1)) AS next
    FROM unnest($1::text[], $2::timestamptz[]) AS e (task_id, at) JOIN open_tasks AS k USING (task_id)
    WHERE k.status = 'pending'
) AS e JOIN open_tasks AS t USING (task_id)
ON CONFLICT (task_id, run) DO NOTHING
RETURNING {views.columns("log")}
"""  # noqa: S608

#: The cancels that were carried out, or came to that, of tasks that wait.
_OF_WAITING = f"""
SELECT DISTINCT ON (c.task_id) c.task_id, c.finished_at AS at FROM cancels AS c JOIN open_tasks AS t USING (task_id)
WHERE c.task_id = ANY($1::text[]) AND c.state IN ('cancelled', 'dropped') AND t.status = 'pending' AND {HOLDS}
ORDER BY c.task_id, c.finished_at
"""  # noqa: S608

#: A task and its cancel that were recorded at the same moment by different reconcilers.
_UNAPPLIED = f"""
SELECT DISTINCT c.task_id FROM cancels AS c JOIN tasks AS t USING (task_id)
WHERE COALESCE(c.issued_at, c.finished_at) > now() - interval '10 minutes' AND c.issued_at IS NOT NULL
    AND c.state NOT IN ('refused', 'unsupported')
    AND (c.state <> 'unknown' OR t.status <> 'running')
    AND (t.status NOT IN ('pending', 'running') OR {HOLDS})
    AND (t.cancel_command_id IS NULL OR (t.status = 'pending' AND c.state IN ('cancelled', 'dropped')))
LIMIT 500
"""  # noqa: S608


async def end_cancelled(connection: Connection, verdicts: Collection[VerdictRow], changed: views.ChangedViews) -> None:
    """End runs and deliveries that a host reports as cancelled, in case their own event is missing."""
    ended = sorted((v.task_id, v.at, v.host, v.verdict == "cancelled") for v in verdicts if v.verdict in CANCELLED)
    if ended:
        await lock_tasks(connection, {task_id for task_id, *_ in ended}, changed)
        changed.add("log", await connection.fetch(_END_RUNS, *zip(*ended, strict=True)))
        await _end_waiting(connection, [(task_id, at, host) for task_id, at, host, _ in ended], changed)


async def _end_waiting(
    connection: Connection, ended: Collection[tuple[str, datetime, str]], changed: views.ChangedViews
) -> None:
    """End what waits of these tasks, by task id, time and host."""
    task_ids, times, hosts = (list(column) for column in zip(*ended, strict=True))
    changed.add("task", await show_liveliest(connection, task_ids))
    changed.add("log", await connection.fetch(_END_WAITS, task_ids, times, hosts))
    changed.add("task", await show_liveliest(connection, task_ids))
    changed.add("log", await connection.fetch(_END_NEXT, task_ids, times))
    changed.add("task", await show_liveliest(connection, task_ids))


async def apply_cancels(connection: Connection, task_ids: Collection[str], changed: views.ChangedViews) -> None:
    """Show on tasks which cancel was requested, and end those that wait and will not run.

    It depends on the present state only, so it may be called at any time, any number of times.
    """
    changed.add("task", await connection.fetch(_INTENTS, list(task_ids)))
    if waiting := await connection.fetch(_OF_WAITING, list(task_ids)):
        await lock_tasks(connection, {row["task_id"] for row in waiting}, changed)
        await _end_waiting(connection, [(row["task_id"], row["at"], "") for row in waiting], changed)


async def unapplied_cancels(connection: Connection, _: views.ChangedViews) -> list[str]:
    """The ids of tasks to which a cancel is not applied yet, as both were recorded at the same moment."""
    return [row["task_id"] for row in await connection.fetch(_UNAPPLIED)]
