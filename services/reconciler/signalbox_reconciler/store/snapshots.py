"""Repair: make the record agree with what hosts list as running."""

from collections.abc import Collection

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.judge import RunningLog, SeenRun, judge
from signalbox_reconciler.fold.rows import SnapshotRow
from signalbox_reconciler.store import shown
from signalbox_reconciler.store.columns import arrays, names, unnest
from signalbox_reconciler.store.hosts import retire
from signalbox_reconciler.store.logs import number_attempts
from signalbox_reconciler.store.lost import KEYS, NOT_LISTED, columns_of, lose
from signalbox_reconciler.store.tasks import count_attempts

#: The start of time counts as 1970: asyncpg hands it over without its zone, and the look at the host would fail.
_RUNNING = """
SELECT task_id, run, host, GREATEST(started_at, 'epoch') AS started_at, confirmed, missing_since FROM task_logs
WHERE host = ANY($1::text[]) AND status = 'running'
"""

_MISS = f"""
UPDATE task_logs AS l SET missing_since = k.at FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running' AND l.missing_since IS NULL
"""  # noqa: S608 - names of our own

_TRUST_LOGS = f"""
UPDATE task_logs AS l SET missing_since = NULL, confirmed = true FROM {KEYS}
WHERE l.task_id = k.task_id AND l.run = k.run AND l.status = 'running'
"""  # noqa: S608
_TRUST_TASKS = f"""
UPDATE tasks AS t SET confirmed = true, updated_at = now() FROM {KEYS}
WHERE t.task_id = k.task_id AND t.run = k.run AND t.status = 'running' AND NOT t.confirmed
RETURNING {shown.columns("task", "t.")}
"""  # noqa: S608

_SEEN = {
    "task_id": "text",
    "run": "text",
    "host": "text",
    "at": "timestamptz",
    "retries": "integer",
    "started_at": "timestamptz",
    "pid": "integer",
}
_SEEN_RUNS = f"{unnest(_SEEN)} AS s ({names(_SEEN)})"

#: Either the event was lost that told of this run, or it was given up too early.
_REVIVE_TASKS = f"""
UPDATE tasks AS t SET run = s.run, phase = 2, confirmed = true,
    precedence = (EXTRACT(EPOCH FROM s.at) * 1000000)::bigint, status = 'running', outcome = NULL, error = NULL,
    finished_at = NULL, retries = s.retries, host = s.host,
    worker = CASE WHEN t.run = s.run THEN t.worker END,
    started_at = CASE WHEN t.run = s.run THEN COALESCE(t.started_at, s.started_at) ELSE s.started_at END,
    pid = s.pid,
    cancel_signal = CASE WHEN t.run = s.run THEN t.cancel_signal END,
    cancel_kill_at = CASE WHEN t.run = s.run THEN t.cancel_kill_at END,
    updated_at = now()
FROM {_SEEN_RUNS}
WHERE t.task_id = s.task_id
    AND (s.run > t.run OR (s.run = t.run AND t.phase = 4 AND NOT t.confirmed AND t.finished_at < s.at))
RETURNING {shown.columns("task", "t.")}, t.run
"""  # noqa: S608

_REVIVE_LOGS = f"""
INSERT INTO task_logs AS l
    (task_id, run, attempt, phase, confirmed, precedence, status, retries, host, pid, started_at)
SELECT s.task_id, s.run, s.retries + 1, 2, true, (EXTRACT(EPOCH FROM s.at) * 1000000)::bigint, 'running', s.retries,
    s.host, s.pid, s.started_at
FROM {_SEEN_RUNS}
ON CONFLICT (task_id, run) DO UPDATE SET phase = 2, confirmed = true, precedence = EXCLUDED.precedence,
    status = 'running', outcome = NULL, error = NULL, finished_at = NULL, missing_since = NULL
WHERE l.phase = 4 AND NOT l.confirmed
RETURNING {shown.columns("log")}
"""  # noqa: S608


async def repair(connection: Connection, snapshots: Collection[SnapshotRow], seen: shown.Shown) -> None:
    """Compare and correct; changes go to `seen`."""
    for snapshot in snapshots:
        if snapshot.processes:
            seen.add("process", await retire(connection, snapshot))
    rows = await connection.fetch(_RUNNING, [snapshot.host for snapshot in snapshots])
    judgement = judge(snapshots, (RunningLog(**row) for row in rows))
    if judgement.missing:
        await connection.execute(_MISS, *columns_of(judgement.missing))
    if judgement.lost:
        await lose(connection, judgement.lost, NOT_LISTED, seen)
    if judgement.well:
        well = columns_of(judgement.well)
        seen.add("task", await connection.fetch(_TRUST_TASKS, *well))
        await connection.execute(_TRUST_LOGS, *well)
    if judgement.unknown:
        await _revive(connection, judgement.unknown, seen)


async def _revive(connection: Connection, runs: list[SeenRun], seen: shown.Shown) -> None:
    tasks = await connection.fetch(_REVIVE_TASKS, *arrays(_SEEN, runs))
    if not tasks:
        return
    seen.add("task", tasks)
    revived = {(row["task_id"], row["run"]) for row in tasks}
    logs = [run for run in runs if (run.task_id, run.run) in revived]
    seen.add("log", await connection.fetch(_REVIVE_LOGS, *arrays(_SEEN, logs)))
    task_ids = [run.task_id for run in logs]
    if numbered := await number_attempts(connection, task_ids):
        seen.add("log", numbered)
        seen.add("task", await count_attempts(connection, task_ids))
