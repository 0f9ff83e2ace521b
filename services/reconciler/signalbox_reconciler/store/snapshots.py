"""Snapshots of hosts applied to the record: repairs runs and processes that differ."""

from collections.abc import Collection

from signalbox.messages.events import HostSeen
from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.snapshots import ListedRun, RecordedRun, compare
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import arrays, names, unnest
from signalbox_reconciler.store.confirmations import hosts_with_missing_events
from signalbox_reconciler.store.hosts import retire
from signalbox_reconciler.store.logs import number_attempts
from signalbox_reconciler.store.lost import KEYS, NOT_LISTED, columns_of, mark_lost
from signalbox_reconciler.store.tasks import count_attempts

#: `-infinity` is read as 1970: asyncpg returns it without a time zone, which would break the comparison.
_RUNNING = """
SELECT task_id, run, host, GREATEST(started_at, 'epoch') AS started_at, confirmed, missing_since FROM task_logs
WHERE host = ANY($1::text[]) AND status = 'running'
"""

_MARK_MISSING = f"""
UPDATE task_logs AS l SET missing_since = k.at FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running' AND l.missing_since IS NULL
"""  # noqa: S608 - names of our own

_CONFIRM_LOGS = f"""
UPDATE task_logs AS l SET missing_since = NULL, confirmed = true FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running'
"""  # noqa: S608
_CONFIRM_TASKS = f"""
UPDATE tasks AS t SET confirmed = true, updated_at = now() FROM {KEYS}
WHERE t.task_id = k.task_id AND t.run = k.run AND t.status = 'running' AND NOT t.confirmed
RETURNING {views.columns("task", "t.")}
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

#: Either the event of this run was lost, or the run was given up too early.
_RESTORE_TASKS = f"""
UPDATE tasks AS t SET run = s.run, phase = 2, confirmed = true,
    precedence = (EXTRACT(EPOCH FROM s.at) * 1000000)::bigint, status = 'running', outcome = NULL, error = NULL,
    finished_at = NULL, proof = NULL, left_processes = 0, retries = s.retries, host = s.host,
    worker = CASE WHEN t.run = s.run THEN t.worker END,
    started_at = CASE WHEN t.run = s.run THEN COALESCE(t.started_at, s.started_at) ELSE s.started_at END,
    pid = s.pid,
    cancel_signal = CASE WHEN t.run = s.run THEN t.cancel_signal END,
    cancel_kill_at = CASE WHEN t.run = s.run THEN t.cancel_kill_at END,
    updated_at = now()
FROM {_LISTED_RUNS}
WHERE t.task_id = s.task_id
    AND (s.run > t.run OR (s.run = t.run AND t.phase = 4 AND NOT t.confirmed AND t.finished_at < s.at))
RETURNING {views.columns("task", "t.")}, t.run
"""  # noqa: S608

_RESTORE_LOGS = f"""
INSERT INTO task_logs AS l
    (task_id, run, attempt, phase, confirmed, precedence, status, retries, host, pid, started_at)
SELECT s.task_id, s.run, s.retries + 1, 2, true, (EXTRACT(EPOCH FROM s.at) * 1000000)::bigint, 'running', s.retries,
    s.host, s.pid, s.started_at
FROM {_LISTED_RUNS}
ON CONFLICT (task_id, run) DO UPDATE SET phase = 2, confirmed = true, precedence = EXCLUDED.precedence,
    status = 'running', outcome = NULL, error = NULL, finished_at = NULL, proof = NULL, left_processes = 0,
    missing_since = NULL
WHERE l.phase = 4 AND NOT l.confirmed
RETURNING {views.columns("log")}
"""  # noqa: S608


async def repair(connection: Connection, snapshots: Collection[HostSeen], changed: views.ChangedViews) -> None:
    """Compare the snapshots with the record, and correct it."""
    for snapshot in snapshots:
        if snapshot.processes:
            changed.add("process", await retire(connection, snapshot))
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
        confirmed = columns_of(difference.confirmed)
        changed.add("task", await connection.fetch(_CONFIRM_TASKS, *confirmed))
        await connection.execute(_CONFIRM_LOGS, *confirmed)
    if difference.unrecorded:
        await _restore(connection, difference.unrecorded, changed)


def _epochs(snapshots: Collection[HostSeen]) -> list[str]:
    return [snapshot.numbers.epoch for snapshot in snapshots if snapshot.numbers is not None]


async def _restore(connection: Connection, runs: list[ListedRun], changed: views.ChangedViews) -> None:
    tasks = await connection.fetch(_RESTORE_TASKS, *arrays(_LISTED, runs))
    if not tasks:
        return
    changed.add("task", tasks)
    restored = {(row["task_id"], row["run"]) for row in tasks}
    logs = [run for run in runs if (run.task_id, run.run) in restored]
    changed.add("log", await connection.fetch(_RESTORE_LOGS, *arrays(_LISTED, logs)))
    task_ids = [run.task_id for run in logs]
    if numbered := await number_attempts(connection, task_ids):
        changed.add("log", numbered)
        changed.add("task", await count_attempts(connection, task_ids))
