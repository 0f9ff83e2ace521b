"""Runs of open tasks: the tables `open_task_logs` and `task_waits`.

A log is a run that was started, or a delivery that ended before; a wait is a delivery that waits in a worker.
"""

from collections.abc import Collection

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.rows import LogRow, WaitRow
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import FACT, arrays, assignments, names, unnest
from signalbox_reconciler.store.tasks import show_liveliest

_KEY = {"task_id": "text", "run": "text"}
_FACT = {**FACT, "traceback": "text"}
_SUMS = {
    "delivery": "text",
    "started_at": "timestamptz",
    "pid": "integer",
    "cancel_signal": "text",
    "cancel_kill_at": "timestamptz",
}
_COLUMNS = {**_KEY, **_FACT, **_SUMS}

_NEWER = """(EXCLUDED.phase >= 3, EXCLUDED.confirmed, EXCLUDED.phase, EXCLUDED.precedence)
        > (l.phase >= 3, l.confirmed, l.phase, l.precedence)"""

#: What two facts about the same run add up to.
_ADDED = {
    "delivery": "GREATEST(l.delivery, EXCLUDED.delivery)",
    "started_at": "LEAST(l.started_at, EXCLUDED.started_at)",
    "pid": "COALESCE(l.pid, EXCLUDED.pid)",
    "cancel_signal": """CASE WHEN 'KILL' IN (l.cancel_signal, EXCLUDED.cancel_signal) THEN 'KILL'
        ELSE COALESCE(l.cancel_signal, EXCLUDED.cancel_signal) END""",
    "cancel_kill_at": """CASE
        WHEN 'KILL' IN (l.cancel_signal, EXCLUDED.cancel_signal) OR GREATEST(l.phase, EXCLUDED.phase) >= 3 THEN NULL
        ELSE LEAST(l.cancel_kill_at, EXCLUDED.cancel_kill_at) END""",
}

#: `has_others`: the run is new, and the task has others. The waits of the deliveries in the last two arrays are ended.
_UPSERT = f"""
WITH begun AS (
    DELETE FROM task_waits AS w
    USING unnest(${len(_COLUMNS) + 1}::text[], ${len(_COLUMNS) + 2}::text[]) AS b (task_id, run)
    WHERE w.task_id = b.task_id AND w.run = b.run
)
INSERT INTO open_task_logs AS l ({names(_COLUMNS)}, attempt)
SELECT {names(_COLUMNS)}, retries + 1 FROM {unnest(_COLUMNS)} AS new ({names(_COLUMNS)})
ON CONFLICT (task_id, run) DO UPDATE SET
    {assignments(_FACT, f"CASE WHEN {_NEWER} THEN EXCLUDED.{{}} ELSE l.{{}} END")},
    {", ".join(f"{name} = {added}" for name, added in _ADDED.items())}
WHERE {_NEWER} OR ({names(_ADDED, "l.")}) IS DISTINCT FROM ({", ".join(_ADDED.values())})
RETURNING {views.columns("log")},
    xmax = 0 AND EXISTS (SELECT FROM open_task_logs AS o WHERE o.task_id = l.task_id AND o.run <> l.run) AS has_others
"""  # noqa: S608 - names of our own columns

_SELECT = f"""
SELECT {views.columns("log")} FROM task_logs
JOIN unnest($1::text[], $2::text[]) AS wanted (task_id, run) USING (task_id, run)
"""  # noqa: S608

#: The attempt of a run is its count of retries plus one, or one more than the attempt before where that is
#: greater: the same retry was redelivered. Of a = max(r + 1, a before + 1) this is the closed form.
_NUMBER = f"""
UPDATE open_task_logs AS l SET attempt = numbered.attempt
FROM (
    SELECT task_id, run, place + max(retries + 1 - place) OVER (PARTITION BY task_id ORDER BY place) AS attempt
    FROM (
        SELECT task_id, run, retries, row_number() OVER (PARTITION BY task_id ORDER BY run_order(run), run) AS place
        FROM open_task_logs WHERE task_id = ANY($1::text[])
    ) AS placed
) AS numbered
WHERE l.task_id = numbered.task_id AND l.run = numbered.run AND l.attempt <> numbered.attempt
RETURNING {views.columns("log", "l.")}
"""  # noqa: S608

_WAIT_FACT = {
    "confirmed": "boolean",
    "precedence": "bigint",
    "retries": "integer",
    "host": "text",
    "worker": "text",
}
_WAIT_COLUMNS = {"task_id": "text", "run": "text", **_WAIT_FACT}

#: A delivery that has a log waits no more, whichever is recorded first.
_UPSERT_WAITS = f"""
INSERT INTO task_waits AS w ({names(_WAIT_COLUMNS)})
SELECT {names(_WAIT_COLUMNS)} FROM {unnest(_WAIT_COLUMNS)} AS new ({names(_WAIT_COLUMNS)})
WHERE NOT EXISTS (SELECT FROM open_task_logs AS l WHERE l.task_id = new.task_id AND l.delivery = new.run)
ON CONFLICT (task_id, run) DO UPDATE SET {assignments(_WAIT_FACT, "EXCLUDED.{}")}
WHERE (EXCLUDED.confirmed, EXCLUDED.precedence) > (w.confirmed, w.precedence)
"""  # noqa: S608 - names of our own columns

_END_WAITS = """
DELETE FROM task_waits AS w USING unnest($1::text[], $2::text[]) AS begun (task_id, run)
WHERE w.task_id = begun.task_id AND w.run = begun.run
"""


async def upsert_logs(connection: Connection, rows: Collection[LogRow], known: Collection[str]) -> list[Row]:
    """Merge rows of distinct runs; return what changed, with `has_others`.

    The deliveries that they came by wait no more; only those of `known` tasks can have been recorded as waiting.
    """
    ordered = sorted(rows, key=lambda row: (row.task_id, row.run))
    begun = sorted({(row.task_id, row.delivery) for row in ordered if row.task_id in known})
    columns = zip(*begun, strict=True) if begun else ([], [])
    return await connection.fetch(_UPSERT, *arrays(_COLUMNS, ordered), *columns)


async def number_attempts(connection: Connection, task_ids: Collection[str]) -> list[Row]:
    """Number the runs of tasks that have several; return what changed."""
    return await connection.fetch(_NUMBER, list(task_ids))


async def select_logs(connection: Connection, keys: Collection[tuple[str, str]]) -> list[Row]:
    """The runs as they are, by task id and run."""
    return await connection.fetch(_SELECT, [key[0] for key in keys], [key[1] for key in keys])


async def upsert_waits(connection: Connection, rows: Collection[WaitRow]) -> None:
    """Merge rows of distinct deliveries; call it after their logs are written."""
    ordered = sorted(rows, key=lambda row: (row.task_id, row.run))
    await connection.execute(_UPSERT_WAITS, *arrays(_WAIT_COLUMNS, ordered))


async def show_added(connection: Connection, logs: Collection[Row], changed: views.ChangedViews) -> None:
    """Do all that follows from runs that were added behind the fold: their waits end, their tasks are shown anew."""
    if not logs:
        return
    changed.add("log", logs)
    await end_waits(connection, [(row["task_id"], row["delivery"]) for row in logs])
    task_ids = {row["task_id"] for row in logs}
    changed.add("log", await number_attempts(connection, task_ids))
    changed.add("task", await show_liveliest(connection, task_ids))


async def end_waits(connection: Connection, begun: Collection[tuple[str, str]]) -> None:
    """Delete the waits of deliveries that have a log, by task id and delivery."""
    if begun:
        await connection.execute(_END_WAITS, *zip(*sorted(begun), strict=True))
