"""The tables `commands` and `command_answers`, and what they mean for tasks."""

from collections.abc import Collection, Mapping
from itertools import groupby
from operator import itemgetter

from signalbox.postgres.pool import Connection, Row
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.conclude import EXPIRED, Conclusion, conclude, conclude_everywhere, presume
from signalbox_reconciler.fold.rows import AnswerRow
from signalbox_reconciler.store import shown
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest
from signalbox_reconciler.store.verdicts import Presumed, insert_cancels, presume_tasks, tally

#: A command and its first answer are often recorded at the same moment, by different hands. Whoever comes second
#: must see what the first one wrote; held until the commit.
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

_INSERT = f"""
INSERT INTO commands ({names(_COMMANDS)}) SELECT * FROM {unnest(_COMMANDS)}
ON CONFLICT (command_id) DO NOTHING
RETURNING {shown.columns("command")}
"""  # noqa: S608 - names of our own columns

_ANSWERS = {
    "command_id": "text",
    "host": "text",
    "verdict": "text",
    "weight": "smallint",
    "detail": "text",
    "at": "timestamptz",
}

_UPSERT_ANSWERS = f"""
INSERT INTO command_answers AS a ({names(_ANSWERS)}) SELECT * FROM {unnest(_ANSWERS)}
ON CONFLICT (command_id, host) DO UPDATE SET {assignments(("verdict", "weight", "detail", "at"), "EXCLUDED.{}")}
WHERE (EXCLUDED.weight, EXCLUDED.at) > (a.weight, a.at)
"""  # noqa: S608

#: One row for each answer, or one without any. Of a stop or start, hosts are expected to answer that are silent, too,
#: if anything may run there.
_ASKED = """
SELECT c.command_id, c.tasks_total, COALESCE(c.finished_at, now()) AS now, a.host, a.verdict, a.weight,
    a.detail, a.at,
    CASE WHEN c.hosts <> '' THEN string_to_array(c.hosts, E'\\n') ELSE ARRAY(
        SELECT name FROM hosts AS h WHERE state = 'online' OR (c.tasks_total = 0 AND EXISTS (
            SELECT FROM processes AS p WHERE p.host = h.name AND p.state NOT IN ('stopped', 'fatal')))
    ) END AS expected
FROM commands AS c LEFT JOIN command_answers AS a USING (command_id)
WHERE c.command_id = ANY($1::text[])
ORDER BY c.command_id, a.host
"""

_CONCLUSION = {"state": "text", "detail": "text", "finished_at": "timestamptz", "tasks_done": "integer"}
_CONCLUDED = {"command_id": "text", **_CONCLUSION}

_CONCLUDE = f"""
UPDATE commands AS c SET {assignments(_CONCLUSION, "n.{}")}
FROM {unnest(_CONCLUDED)} AS n ({names(_CONCLUDED)})
WHERE c.command_id = n.command_id AND ({names(_CONCLUSION, "c.")}) IS DISTINCT FROM ({names(_CONCLUSION, "n.")})
RETURNING {shown.columns("command", "c.")}
"""  # noqa: S608

#: Answered while somebody else looked, or by hosts of which the last one has left; or about a task that waits, which
#: needs no answer where nothing is up that could run it. Then those that came to nothing at the very moment at which
#: somebody else recorded that their task waits.
_UNCONCLUDED = """
(
    SELECT command_id FROM commands AS c
    WHERE state = 'issued' AND (
        EXISTS (SELECT FROM command_answers AS a WHERE a.command_id = c.command_id)
        OR EXISTS (
            SELECT FROM cancels AS x JOIN tasks AS t USING (task_id)
            WHERE x.command_id = c.command_id AND x.state = 'issued' AND t.status = 'pending'
        )
    )
    ORDER BY answer_by LIMIT 500
) UNION (
    SELECT x.command_id FROM cancels AS x JOIN tasks AS t USING (task_id)
    WHERE COALESCE(x.issued_at, x.finished_at) > now() - interval '10 minutes'
        AND x.state = 'unknown' AND x.weight < 0 AND t.status = 'pending'
    LIMIT 500
)
"""

_OVERDUE = "SELECT command_id FROM commands WHERE state = 'issued' AND answer_by < now() ORDER BY answer_by LIMIT 500"

_EXPIRE = f"""
UPDATE commands SET state = 'expired', detail = '{EXPIRED}', finished_at = expires_at
WHERE command_id = ANY($1::text[]) AND state = 'issued'
RETURNING {shown.columns("command")}
"""  # noqa: S608

_SELECT = f"SELECT {shown.columns('command')} FROM commands WHERE command_id = ANY($1::text[])"  # noqa: S608


async def lock_commands(connection: Connection, command_ids: Collection[str]) -> None:
    """Wait for whoever records something about these commands at this moment; before any other lock is taken."""
    await connection.execute(_LOCK, list(command_ids))


async def insert_commands(connection: Connection, rows: Collection[CommandRow], seen: shown.Shown) -> None:
    """Put commands on the trail; what is there already stays as it is."""
    seen.add("command", await connection.fetch(_INSERT, *arrays(_COMMANDS, rows)))
    await insert_cancels(connection, rows)


async def upsert_answers(connection: Connection, rows: Collection[AnswerRow]) -> None:
    """Keep the strongest answer of each host."""
    await connection.execute(_UPSERT_ANSWERS, *arrays(_ANSWERS, rows))


async def conclude_commands(
    connection: Connection, command_ids: Collection[str], seen: shown.Shown, *, final: bool = False
) -> set[str]:
    """Bring the state of commands up to date with their answers.

    With `final`, no more answers are expected. Answers the ids of tasks that cancels came to mean something else for,
    although no host said so.
    """
    rows = await connection.fetch(_ASKED, list(command_ids))
    concluded: list[tuple[str, Conclusion]] = []
    cancels: dict[str, tuple[Row, list[AnswerRow]]] = {}
    for command_id, asked in groupby(rows, key=itemgetter("command_id")):
        first, *others = asked
        answers = [AnswerRow(**{name: row[name] for name in _ANSWERS}) for row in (first, *others) if row["host"]]
        if first["tasks_total"]:
            cancels[command_id] = first, answers
        elif conclusion := conclude_everywhere(answers, first["expected"], final=final):
            concluded.append((command_id, conclusion))
    changed = await _conclude_cancels(connection, cancels, concluded, final=final) if cancels else set()
    if concluded:
        columns = [(command_id, *(getattr(c, name) for name in _CONCLUSION)) for command_id, c in concluded]
        seen.add("command", await connection.fetch(_CONCLUDE, *zip(*columns, strict=True)))
    return changed


async def _conclude_cancels(
    connection: Connection,
    cancels: Mapping[str, tuple[Row, list[AnswerRow]]],
    concluded: list[tuple[str, Conclusion]],
    *,
    final: bool,
) -> set[str]:
    presumed = [
        Presumed(
            command_id=command_id,
            presumption=presume(answers, row["expected"], final=final),
            at=max((answer.at for answer in answers), default=row["now"]),
        )
        for command_id, (row, answers) in cancels.items()
    ]
    changed = await presume_tasks(connection, presumed)
    for command_id, counts in (await tally(connection, cancels)).items():
        row, answers = cancels[command_id]
        if counts.total() >= row["tasks_total"]:  # else some are forgotten, and what it came to is on the trail
            concluded.append((command_id, conclude(answers, counts, row["now"])))
    return changed


async def select_commands(connection: Connection, command_ids: Collection[str], seen: shown.Shown) -> None:
    """The commands as they are."""
    seen.add("command", await connection.fetch(_SELECT, list(command_ids)))


async def conclude_answered(connection: Connection, seen: shown.Shown) -> set[str]:
    """Conclude what was answered in full by now; answers what `conclude_commands` does."""
    rows = await connection.fetch(_UNCONCLUDED)
    return await conclude_commands(connection, [row["command_id"] for row in rows], seen) if rows else set()


async def expire_commands(connection: Connection, seen: shown.Shown) -> set[str]:
    """Give up commands to which no more answers will come; answers what `conclude_commands` does."""
    rows = await connection.fetch(_OVERDUE)
    if not rows:
        return set()
    overdue = [row["command_id"] for row in rows]
    await lock_commands(connection, overdue)
    task_ids = await conclude_commands(connection, overdue, seen, final=True)
    seen.add("command", await connection.fetch(_EXPIRE, overdue))
    return task_ids
