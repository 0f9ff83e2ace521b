"""Snapshots of hosts applied to the record: repairs runs that differ."""

from collections.abc import Collection

from signalbox.messages.events import HostSeen
from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.snapshots import ListedRun, RecordedRun, compare
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import arrays, names, unnest
from signalbox_reconciler.store.confirmations import hosts_with_missing_events
from signalbox_reconciler.store.lost import KEYS, NOT_LISTED, columns_of, mark_lost
from signalbox_reconciler.store.runs import show_added
from signalbox_reconciler.store.tasks import lock_tasks, show_liveliest

#: `-infinity` is read as 1970: asyncpg returns it without a time zone, which would break the comparison.
_RUNNING = """
SELECT task_id, run, host, GREATEST(started_at, 'epoch') AS started_at, confirmed, missing_since FROM open_task_logs
WHERE host = ANY($1::text[]) AND status = 'running'
"""

_MARK_MISSING = f"""
UPDATE open_task_logs AS l SET missing_since = k.at FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running' AND l.missing_since IS NULL
"""  # noqa: S608 - names of our own

_CONFIRM = f"""
UPDATE open_task_logs AS l SET missing_since = NULL, confirmed = true FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running'
RETURNING l.task_id
"""  # noqa: S608

_LISTED = {
    "task_id": "text",
    "run": "text",
    "host": "text",
    "at": "timestamptz",
    "retries": "integer",
    "started_at": "timestamptz",
    "pid": "integer",
}
_LISTED_RUNS = f"{unnest(_LISTED)} AS s ({names(_LISTED)})"

#: Either the event of this run was lost, or the run was given up too early. Which delivery it came by is not listed:
#: of those that wait on its host the first one is taken for it. Tasks that nobody described are left out.
_RESTORE = f"""
INSERT INTO open_task_logs AS l
    (task_id, run, delivery, attempt, phase, confirmed, precedence, status, retries, host, worker, pid, started_at)
SELECT s.task_id, s.run, COALESCE(w.run, ''), s.retries + 1, 2, true, (EXTRACT(EPOCH FROM s.at) * 1000000)::bigint,
    'running', s.retries, s.host, w.worker, s.pid, s.started_at
FROM {_LISTED_RUNS} JOIN open_tasks AS t USING (task_id)
LEFT JOIN LATERAL (
    SELECT run, worker FROM task_waits AS w
    WHERE w.task_id = s.task_id AND w.host = s.host AND w.retries = s.retries ORDER BY run_order(run), run LIMIT 1
) AS w ON true
ON CONFLICT (task_id, run) DO UPDATE SET phase = 2, confirmed = true, precedence = EXCLUDED.precedence,
    status = 'running', outcome = NULL, error = NULL, finished_at = NULL, proof = NULL, left_processes = 0,
    missing_since = NULL
WHERE l.phase = 4 AND NOT l.confirmed AND l.finished_at < to_timestamp(EXCLUDED.precedence / 1000000.0)
RETURNING {views.columns("log")}, l.delivery
"""  # noqa: S608


async def repair(connection: Connection, snapshots: Collection[HostSeen], changed: views.ChangedViews) -> None:
    """Compare the running tasks of the snapshots with the record, and correct it."""
    rows = await connection.fetch(_RUNNING, [snapshot.host for snapshot in snapshots])
    runs = [RecordedRun(**row) for row in rows]
    difference = compare(snapshots, runs)
    if difference.lost and (incomplete := await hosts_with_missing_events(connection, _epochs(snapshots))):
        difference = compare(snapshots, runs, incomplete)
    if difference.missing:
        await connection.execute(_MARK_MISSING, *columns_of(difference.missing))
    if difference.lost:
        await mark_lost(connection, difference.lost, NOT_LISTED, changed)
    if difference.confirmed:
        await lock_tasks(connection, {task_id for task_id, _ in difference.confirmed}, changed)
        rows = await connection.fetch(_CONFIRM, *columns_of(difference.confirmed))
        changed.add("task", await show_liveliest(connection, {row["task_id"] for row in rows}))
    if difference.unrecorded:
        await _restore(connection, difference.unrecorded, changed)


def _epochs(snapshots: Collection[HostSeen]) -> list[str]:
    return [snapshot.numbers.epoch for snapshot in snapshots if snapshot.numbers is not None]


async def _restore(connection: Connection, runs: list[ListedRun], changed: views.ChangedViews) -> None:
    await lock_tasks(connection, {run.task_id for run in runs}, changed)
    await show_added(connection, await connection.fetch(_RESTORE, *arrays(_LISTED, runs)), changed)
