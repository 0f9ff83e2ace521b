"""Tasks: the SQL that describes them, and that shows of each the liveliest of its runs."""

from collections.abc import Collection, Sequence

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.rows import TaskRow
from signalbox_reconciler.partitions.placing import fetch_finished
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import FACT, arrays, assignments, names, unnest

_KEY = {"task_id": "text"}
#: What a task shows of one of its runs.
_SHOWN = {
    "run": "text",
    **FACT,
    "started_at": "timestamptz",
    "pid": "integer",
    "cancel_signal": "text",
    "cancel_kill_at": "timestamptz",
}
_DETAILS = {
    "details_key": "text",
    "full_id": "text",
    "name": "text",
    "celery_name": "text",
    "queue": "text",
    "args": "text",
    "kwargs": "text",
    "eta": "timestamptz",
    "root_id": "text",
    "parent_id": "text",
}
_COLUMNS = {**_KEY, **_SHOWN, **_DETAILS, "created_at": "timestamptz"}

_HAS_CANCEL = "EXISTS (SELECT FROM cancels AS c WHERE c.task_id = t.task_id) AS has_cancel"

#: `inserted`: there was no such row; `has_cancel`: it has a cancel; `is_finished`: it was inserted, and there is one
#: that is finished. What an existing task shows is left to `_SHOW`.
_UPSERT = f"""
WITH written AS (
    INSERT INTO open_tasks AS t ({names(_COLUMNS)}, attempt)
    SELECT {names(_COLUMNS)}, retries + 1 FROM {unnest(_COLUMNS)} AS new ({names(_COLUMNS)})
    ON CONFLICT (task_id) DO UPDATE SET
        {assignments(_DETAILS, "CASE WHEN EXCLUDED.details_key > t.details_key THEN EXCLUDED.{} ELSE t.{} END")},
        created_at = LEAST(t.created_at, EXCLUDED.created_at),
        updated_at = now()
    WHERE EXCLUDED.details_key > t.details_key OR EXCLUDED.created_at < t.created_at
    RETURNING {views.columns("task")}, xmax = 0 AS inserted, {_HAS_CANCEL}
), known AS MATERIALIZED (
    SELECT finished_among(array_agg(task_id) FILTER (WHERE inserted)) AS ids FROM written
)
SELECT written.*, inserted AND task_id = ANY(known.ids) AS is_finished FROM written, known
"""  # noqa: S608 - names of our own columns

#: Whether the task shows this fact already, and whether that is confirmed: not while nobody saw it wait.
_SAME = "((t.run, t.phase, t.precedence) = (s.run, s.phase, s.precedence))"
_TAKEN_OVER = [name for name in _SHOWN if name != "confirmed"]
_CONFIRMED = f"(s.confirmed AND NOT (t.doubted AND {_SAME}))"

#: The rule of `fold.liveliest`, step by step. Most tasks have one run: nothing of its key is looked at then.
_SHOW = f"""
WITH runs AS (
    SELECT task_id, run, delivery, {names(FACT)}, started_at, pid, cancel_signal, cancel_kill_at, attempt
    FROM open_task_logs WHERE task_id = ANY($1::text[])
    UNION ALL
    SELECT task_id, run, run, 1, confirmed, precedence, 'pending', NULL, NULL, retries, host, worker, NULL, NULL, 0,
        NULL, NULL, NULL, NULL, retries + 1
    FROM task_waits WHERE task_id = ANY($1::text[])
), counted AS (
    SELECT *, count(*) OVER own > 1 AS several, max(attempt) OVER own AS attempts
    FROM runs WINDOW own AS (PARTITION BY task_id)
), keyed AS (
    SELECT *,
        CASE WHEN several THEN run_order(run) END AS place,
        CASE WHEN several THEN delivery_kind(delivery) END AS kind,
        CASE WHEN several THEN run_order(delivery) END AS received,
        several AND phase IN (2, 4) AND run ~ '^[0-9]{{1,99}}[.][0-9]{{1,99}}[.][^.]*[.][0-9]{{1,99}}$' AS ran,
        CASE WHEN several AND delivery_kind(delivery) IS NOT NULL THEN split_part(delivery, '.', 5) ELSE '' END
            AS message
    FROM counted
), placed AS (
    SELECT *,
        max(place) OVER (PARTITION BY task_id) AS last,
        max(place) FILTER (WHERE phase IN (2, 4) OR (phase = 1 AND kind IS NOT NULL))
            OVER (PARTITION BY task_id) AS next,
        max(received) FILTER (WHERE kind = 'r') OVER (PARTITION BY task_id, message) AS redelivered,
        count(*) OVER (PARTITION BY task_id, delivery) > 1 AS shared,
        message <> '' AND bool_or(ran AND confirmed) OVER (PARTITION BY task_id, message) AS message_ran,
        max(place[1]) FILTER (WHERE ran) OVER (PARTITION BY task_id) AS ran_last
    FROM keyed
), lives AS (
    SELECT *, CASE
        WHEN NOT several OR phase = 2 THEN 3
        WHEN phase = 4 AND outcome = 'discarded' AND CASE WHEN delivery_kind(run) IS NOT NULL THEN shared OR message_ran
            ELSE ran_last >= place[1] END THEN 0
        WHEN phase = 4 THEN 1
        WHEN phase = 1 AND kind IS NOT NULL THEN CASE WHEN redelivered > received THEN 0 ELSE 2 END
        ELSE CASE WHEN last > place OR next >= place THEN 0 ELSE 2 END
    END AS life
    FROM placed
), liveliest AS (
    SELECT DISTINCT ON (task_id) * FROM lives
    ORDER BY task_id, life DESC, (life = 3 AND confirmed) DESC,
        CASE WHEN life = 1 THEN finished_at END DESC NULLS LAST, place DESC, run DESC
), shown AS (
    SELECT task_id, run, phase, confirmed, precedence,
        CASE phase WHEN 2 THEN 'running' WHEN 4 THEN status ELSE 'pending' END AS status,
        CASE WHEN phase = 4 THEN outcome END AS outcome,
        CASE WHEN phase = 4 OR outcome = 'error' THEN error END AS error,
        retries, host, worker,
        CASE WHEN phase = 4 THEN finished_at END AS finished_at,
        CASE WHEN phase = 4 THEN proof END AS proof,
        left_processes, started_at, pid, cancel_signal,
        CASE WHEN phase < 3 THEN cancel_kill_at END AS cancel_kill_at,
        attempts
    FROM liveliest
)
UPDATE open_tasks AS t SET {assignments(_TAKEN_OVER, "s.{}")}, attempt = GREATEST(t.attempt, s.attempts),
    confirmed = {_CONFIRMED}, doubted = t.doubted AND {_SAME},
    {assignments(("asked_at", "vouched_at"), f"CASE WHEN {_SAME} OR s.status <> 'pending' THEN t.{{}} ELSE now() END")},
    updated_at = now()
FROM shown AS s
WHERE t.task_id = s.task_id
    AND ({names(_TAKEN_OVER, "t.")}, t.confirmed, t.attempt)
        IS DISTINCT FROM ({names(_TAKEN_OVER, "s.")}, {_CONFIRMED}, GREATEST(t.attempt, s.attempts))
RETURNING {views.columns("task", "t.")}, false AS inserted, {_HAS_CANCEL}
"""  # noqa: S608

#: Until the end of the transaction. The planner does not know how few rows window functions leave: it would read all
#: tasks of a table of some ten thousand for a batch of some hundred, five times the cost of the batch.
#: Of as few as the proof of a cancel is about it expects few in any case, and they are spared the round trip.
_FEW = 10
_BY_KEY = "SET LOCAL enable_seqscan = off"
_LOCK = "SELECT task_id FROM open_tasks WHERE task_id = ANY($1::text[]) ORDER BY task_id FOR NO KEY UPDATE"
_DELETE = "DELETE FROM open_tasks WHERE task_id = ANY($1::text[])"


async def upsert_tasks(connection: Connection, rows: Collection[TaskRow], changed: views.ChangedViews) -> Sequence[Row]:
    """Insert tasks, and merge what describes them; return what changed, with `inserted` and `has_cancel`."""
    ordered = sorted(rows, key=lambda row: row.task_id)
    written = await connection.fetch(_UPSERT, *arrays(_COLUMNS, ordered))
    finished = {row["task_id"] for row in written if row["is_finished"]}
    if not finished:
        return written
    await connection.execute(_DELETE, sorted(finished))
    changed.fetched |= await fetch_finished(connection, finished)
    again = [row for row in ordered if row.task_id in finished]
    merged = await connection.fetch(_UPSERT, *arrays(_COLUMNS, again))
    return [row for row in written if row["task_id"] not in finished] + merged


async def lock_tasks(connection: Connection, task_ids: Collection[str], changed: views.ChangedViews) -> None:
    """Keep others from changing these tasks and their runs until the end of the transaction; have them open until then.

    Before `show_liveliest`, which else may wait for a transaction that adds a run, and then show what it saw before
    that; `upsert_tasks` does the same. Best before their runs are changed, as whoever writes a batch locks tasks first.
    """
    found = {row["task_id"] for row in await connection.fetch(_LOCK, sorted(task_ids))}
    if elsewhere := set(task_ids) - found:
        changed.fetched |= await fetch_finished(connection, elsewhere)


async def show_liveliest(connection: Connection, task_ids: Collection[str]) -> list[Row]:
    """Have these tasks, which are locked, show the liveliest of their runs; return what changed, as `upsert_tasks`."""
    if not task_ids:
        return []
    if len(task_ids) > _FEW:
        await connection.execute(_BY_KEY)
    return await connection.fetch(_SHOW, list(task_ids))
