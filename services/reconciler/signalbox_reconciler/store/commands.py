"""Commands and their answers: the tables `commands` and `command_answers`."""

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import groupby
from operator import itemgetter

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.conclusion import EXPIRED, Conclusion, conclude, conclude_everywhere, infer_verdicts
from signalbox_reconciler.fold.rows import AnswerRow, VerdictRow
from signalbox_reconciler.store import views
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest
from signalbox_reconciler.store.verdicts import UPSERT_VERDICTS, VERDICTS, gravest, tally, write_inferred

#: A command and its first answer are often recorded at the same moment by different reconcilers. The second must see
#: what the first wrote, so the lock is held until the commit.
_LOCK = """
SELECT pg_advisory_xact_lock(1397310296, key)
FROM (SELECT DISTINCT hashtext(id) AS key FROM unnest($1::text[]) AS id ORDER BY key) AS keys
"""

_COMMANDS = {
    "command_id": "text",
    "command": "text",
    "target": "text",
    "tasks_total": "integer",
    "hosts": "text",
    "issued_by": "text",
    "issued_from": "text",
    "reason": "text",
    "issued_at": "timestamptz",
    "expires_at": "timestamptz",
    "answer_by": "timestamptz",
    "state": "text",
    "detail": "text",
    "finished_at": "timestamptz",
}

#: With the tasks of cancels; the verdict of a host on one may be recorded before the command.
_INSERT = f"""
WITH about AS (
    INSERT INTO cancels AS c (task_id, command_id, issued_at)
    SELECT * FROM unnest($15::text[], $16::text[], $17::timestamptz[])
    ON CONFLICT (task_id, command_id) DO UPDATE SET issued_at = EXCLUDED.issued_at WHERE c.issued_at IS NULL
)
INSERT INTO commands ({names(_COMMANDS)}) SELECT * FROM {unnest(_COMMANDS)}
ON CONFLICT (command_id) DO NOTHING
RETURNING {views.columns("command")}
"""  # noqa: S608 - names of our own columns

_ANSWERS = {
    "command_id": "text",
    "host": "text",
    "verdict": "text",
    "weight": "smallint",
    "detail": "text",
    "at": "timestamptz",
}

#: With the verdicts on single tasks, which begin at the seventh array.
_UPSERT_ANSWERS = f"""
WITH verdicts AS ({UPSERT_VERDICTS.format(unnest(VERDICTS, len(_ANSWERS) + 1))})
INSERT INTO command_answers AS a ({names(_ANSWERS)}) SELECT * FROM {unnest(_ANSWERS)}
ON CONFLICT (command_id, host) DO UPDATE SET {assignments(("verdict", "weight", "detail", "at"), "EXCLUDED.{}")}
WHERE (EXCLUDED.weight, EXCLUDED.at) > (a.weight, a.at)
"""  # noqa: S608

#: One row for each answer, or a single row without one; each with what the record says of the command: its conclusion,
#: the number of its tasks by state, and whether a verdict on one is, or may be, inferred. The first one has the hosts
#: that are to answer: beside each of a thousand answers they would be a million names. A stop or start expects answers
#: of silent hosts, too, if anything may run there.
_WITH_ANSWERS = """
SELECT c.command_id, c.tasks_total, COALESCE(c.finished_at, now()) AS now, a.host, a.verdict, a.weight,
    a.detail, a.at,
    c.state AS state_before, c.detail AS detail_before, c.finished_at AS finished_before, c.tasks_done AS done_before,
    c.states, c.counts, c.inferred,
    CASE WHEN row_number() OVER (PARTITION BY c.command_id ORDER BY a.host) > 1 THEN NULL
    WHEN c.hosts <> '' THEN string_to_array(c.hosts, E'\\n') ELSE ARRAY(
        SELECT name FROM hosts AS h WHERE state = 'online' OR (c.tasks_total = 0 AND EXISTS (
            SELECT FROM processes AS p WHERE p.host = h.name AND p.state NOT IN ('stopped', 'fatal')))
    ) END AS expected
FROM (
    SELECT * FROM commands LEFT JOIN LATERAL (
        SELECT array_agg(state) AS states, array_agg(tasks) AS counts, bool_or(inferred) AS inferred FROM (
            SELECT x.state, count(*) AS tasks, bool_or(x.weight < 0 AND x.state <> 'dropped') AS inferred
            FROM cancels AS x WHERE x.command_id = commands.command_id GROUP BY x.state
        ) AS of_state
    ) AS tally ON tasks_total > 0
    WHERE command_id = ANY($1::text[]) OFFSET 0
) AS c LEFT JOIN command_answers AS a USING (command_id)
ORDER BY c.command_id, a.host
"""

_CONCLUSION = {"state": "text", "detail": "text", "finished_at": "timestamptz", "tasks_done": "integer"}
_CONCLUDED = {"command_id": "text", **_CONCLUSION}

_CONCLUDE = f"""
UPDATE commands AS c SET {assignments(_CONCLUSION, "n.{}")}
FROM {unnest(_CONCLUDED)} AS n ({names(_CONCLUDED)})
WHERE c.command_id = n.command_id AND ({names(_CONCLUSION, "c.")}) IS DISTINCT FROM ({names(_CONCLUSION, "n.")})
RETURNING {views.columns("command", "c.")}
"""  # noqa: S608

#: Open commands that are answered: another reconciler wrote the answer at the same moment, or the last host without
#: an answer has left; or whose task waits, which needs no answer where no worker is up. Then cancels that were
#: concluded as unknown at the moment at which another reconciler recorded that their task waits.
_UNCONCLUDED = """
(
    SELECT command_id FROM commands AS c
    WHERE state = 'issued' AND (
        EXISTS (SELECT FROM command_answers AS a WHERE a.command_id = c.command_id)
        OR EXISTS (
            SELECT FROM cancels AS x JOIN open_tasks AS t USING (task_id)
            WHERE x.command_id = c.command_id AND x.state = 'issued' AND t.status = 'pending'
        )
    )
    ORDER BY answer_by LIMIT 500
) UNION (
    SELECT x.command_id FROM cancels AS x JOIN open_tasks AS t USING (task_id)
    WHERE COALESCE(x.issued_at, x.finished_at) > now() - interval '10 minutes'
        AND x.state = 'unknown' AND x.weight < 0 AND t.status = 'pending'
    LIMIT 500
)
"""

_OVERDUE = "SELECT command_id FROM commands WHERE state = 'issued' AND answer_by < now() ORDER BY answer_by LIMIT 500"

_EXPIRE = f"""
UPDATE commands SET state = 'expired', detail = '{EXPIRED}', finished_at = expires_at
WHERE command_id = ANY($1::text[]) AND state = 'issued'
RETURNING {views.columns("command")}
"""  # noqa: S608


async def lock_commands(connection: Connection, command_ids: Collection[str]) -> None:
    """Lock these commands against other reconcilers; call it before any other lock is taken."""
    await connection.execute(_LOCK, list(command_ids))


async def insert_commands(connection: Connection, rows: Collection[CommandRow], changed: views.ChangedViews) -> None:
    """Insert commands; existing ones stay as they are."""
    about = [(task_id, row.command_id, row.issued_at) for row in rows for task_id in row.task_ids]
    columns = zip(*about, strict=True) if about else ([], [], [])
    changed.add("command", await connection.fetch(_INSERT, *arrays(_COMMANDS, rows), *columns))


async def upsert_answers(connection: Connection, rows: Collection[AnswerRow], verdicts: Collection[VerdictRow]) -> None:
    """Keep the strongest answer of each host, and the gravest verdict of any host on each task."""
    if rows or verdicts:
        await connection.execute(_UPSERT_ANSWERS, *arrays(_ANSWERS, rows), *arrays(VERDICTS, gravest(verdicts)))


async def conclude_commands(
    connection: Connection, command_ids: Collection[str], changed: views.ChangedViews, *, final: bool = False
) -> set[str]:
    """Bring the state of commands up to date with their answers.

    With `final`, no more answers are expected. Returns the ids of tasks whose inferred verdict changed.
    """
    rows = await connection.fetch(_WITH_ANSWERS, list(command_ids))
    concluded: list[tuple[str, Conclusion]] = []
    cancels: dict[str, tuple[Row, list[AnswerRow]]] = {}
    before: dict[str, Conclusion] = {}
    for command_id, asked in groupby(rows, key=itemgetter("command_id")):
        first, *others = asked
        before[command_id] = _before(first)
        answers = [AnswerRow(**{name: row[name] for name in _ANSWERS}) for row in (first, *others) if row["host"]]
        if first["tasks_total"]:
            cancels[command_id] = first, answers
        elif conclusion := conclude_everywhere(answers, first["expected"], final=final):
            concluded.append((command_id, conclusion))
    task_ids = await _conclude_cancels(connection, cancels, concluded, final=final) if cancels else set()
    if news := [(command_id, conclusion) for command_id, conclusion in concluded if conclusion != before[command_id]]:
        columns = [(command_id, *(getattr(c, name) for name in _CONCLUSION)) for command_id, c in news]
        changed.add("command", await connection.fetch(_CONCLUDE, *zip(*columns, strict=True)))
    return task_ids


def _before(row: Row) -> Conclusion:
    """What the record has as the conclusion."""
    return Conclusion(
        state=row["state_before"],
        detail=row["detail_before"],
        finished_at=row["finished_before"],
        tasks_done=row["done_before"],
    )


async def _conclude_cancels(
    connection: Connection,
    cancels: Mapping[str, tuple[Row, list[AnswerRow]]],
    concluded: list[tuple[str, Conclusion]],
    *,
    final: bool,
) -> set[str]:
    inferred = {
        command_id: (
            infer_verdicts(answers, row["expected"], final=final),
            max((answer.at for answer in answers), default=row["now"]),
        )
        for command_id, (row, answers) in cancels.items()
        if row["inferred"]
    }
    task_ids = await write_inferred(connection, inferred) if inferred else set()
    tallies = await tally(connection, cancels) if task_ids else {key: _tally(row) for key, (row, _) in cancels.items()}
    for command_id, counts in tallies.items():
        row, answers = cancels[command_id]
        if counts.total() >= row["tasks_total"]:  # else some cancels are deleted, and the conclusion is stored already
            concluded.append((command_id, conclude(answers, counts, row["now"])))
    return task_ids


def _tally(row: Row) -> Counter[str]:
    """The number of tasks by state, as `tally` counts them anew."""
    return Counter(dict(zip(row["states"] or (), row["counts"] or (), strict=True)))


async def conclude_answered(connection: Connection, changed: views.ChangedViews) -> set[str]:
    """Conclude commands that are fully answered by now; return what `conclude_commands` does."""
    rows = await connection.fetch(_UNCONCLUDED)
    return await conclude_commands(connection, [row["command_id"] for row in rows], changed) if rows else set()


async def expire_commands(connection: Connection, changed: views.ChangedViews) -> set[str]:
    """Expire commands that are overdue; return what `conclude_commands` does."""
    rows = await connection.fetch(_OVERDUE)
    if not rows:
        return set()
    overdue = [row["command_id"] for row in rows]
    await lock_commands(connection, overdue)
    task_ids = await conclude_commands(connection, overdue, changed, final=True)
    changed.add("command", await connection.fetch(_EXPIRE, overdue))
    return task_ids
