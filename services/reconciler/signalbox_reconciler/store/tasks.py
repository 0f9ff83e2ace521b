"""Tasks: the SQL that merges rows into the table `tasks` by the rules of `fold.merge`."""

from collections.abc import Collection

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.rows import TaskRow
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import FACT, arrays, assignments, names, unnest

_KEY = {"task_id": "text"}
_FACT = {"run": "text", **FACT}
_SUMS = {
    "started_at": "timestamptz",
    "pid": "integer",
    "cancel_signal": "text",
    "cancel_kill_at": "timestamptz",
}
_DETAILS = {
    "details_key": "text",
    "name": "text",
    "celery_name": "text",
    "queue": "text",
    "args": "text",
    "kwargs": "text",
    "eta": "timestamptz",
    "root_id": "text",
    "parent_id": "text",
}
_COLUMNS = {**_KEY, **_FACT, **_SUMS, **_DETAILS, "created_at": "timestamptz"}

_NEWER = """((EXCLUDED.run, EXCLUDED.phase >= 3, EXCLUDED.confirmed, EXCLUDED.phase, EXCLUDED.precedence)
        > (t.run, t.phase >= 3, t.confirmed, t.phase, t.precedence))"""

#: What two facts about the same run add up to.
_ADDED = {
    "started_at": "LEAST(t.started_at, EXCLUDED.started_at)",
    "pid": "COALESCE(t.pid, EXCLUDED.pid)",
    "cancel_signal": """CASE WHEN 'KILL' IN (t.cancel_signal, EXCLUDED.cancel_signal) THEN 'KILL'
        ELSE COALESCE(t.cancel_signal, EXCLUDED.cancel_signal) END""",
    "cancel_kill_at": """CASE
        WHEN 'KILL' IN (t.cancel_signal, EXCLUDED.cancel_signal) OR GREATEST(t.phase, EXCLUDED.phase) >= 3 THEN NULL
        ELSE LEAST(t.cancel_kill_at, EXCLUDED.cancel_kill_at) END""",
}
_SET_SUMS = ",\n    ".join(
    f"{name} = CASE WHEN EXCLUDED.run = t.run THEN {added}"
    f" WHEN EXCLUDED.run > t.run THEN EXCLUDED.{name} ELSE t.{name} END"
    for name, added in _ADDED.items()
)

#: `inserted`: there was no such row; `has_cancel`: it has a cancel.
_UPSERT = f"""
INSERT INTO tasks AS t ({names(_COLUMNS)}, attempt)
SELECT {names(_COLUMNS)}, retries + 1 FROM {unnest(_COLUMNS)} AS new ({names(_COLUMNS)})
ON CONFLICT (task_id) DO UPDATE SET
    {assignments(_FACT, f"CASE WHEN {_NEWER} THEN EXCLUDED.{{}} ELSE t.{{}} END")},
    {_SET_SUMS},
    {assignments(_DETAILS, "CASE WHEN EXCLUDED.details_key > t.details_key THEN EXCLUDED.{} ELSE t.{} END")},
    created_at = LEAST(t.created_at, EXCLUDED.created_at),
    attempt = GREATEST(t.attempt, EXCLUDED.attempt),
    {assignments(("asked_at", "vouched_at"), f"CASE WHEN {_NEWER} THEN now() ELSE t.{{}} END")},
    doubted = t.doubted AND NOT {_NEWER},
    updated_at = now()
WHERE {_NEWER}
    OR EXCLUDED.details_key > t.details_key
    OR EXCLUDED.created_at < t.created_at
    OR (EXCLUDED.run = t.run AND ({names(_SUMS, "t.")}) IS DISTINCT FROM ({", ".join(_ADDED.values())}))
RETURNING {views.columns("task")}, xmax = 0 AS inserted,
    EXISTS (SELECT FROM cancels AS c WHERE c.task_id = t.task_id) AS has_cancel
"""  # noqa: S608 - names of our own columns


_COUNT_ATTEMPTS = f"""
UPDATE tasks AS t SET attempt = logs.attempt, updated_at = now()
FROM (
    SELECT task_id, max(attempt) AS attempt FROM task_logs WHERE task_id = ANY($1::text[]) GROUP BY task_id
) AS logs
WHERE t.task_id = logs.task_id AND t.attempt < logs.attempt
RETURNING {views.columns("task", "t.")}
"""  # noqa: S608


async def upsert_tasks(connection: Connection, rows: Collection[TaskRow]) -> list[Row]:
    """Merge rows of distinct tasks; return what changed, with `inserted` and `has_cancel`."""
    ordered = sorted(rows, key=lambda row: row.task_id)
    return await connection.fetch(_UPSERT, *arrays(_COLUMNS, ordered))


async def count_attempts(connection: Connection, task_ids: Collection[str]) -> list[Row]:
    """Raise the attempt of tasks to that of their logs; return what changed."""
    return await connection.fetch(_COUNT_ATTEMPTS, list(task_ids))
