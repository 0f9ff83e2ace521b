"""The tables `commands` and `command_answers`, and what they mean for tasks."""

from collections.abc import Collection
from itertools import groupby
from operator import itemgetter

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.conclude import EXPIRED, Conclusion, conclude, conclude_everywhere
from signalbox_reconciler.fold.rows import AnswerRow
from signalbox_reconciler.store import shown
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest

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
    "task_id": "text",
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
SELECT c.command_id, c.command <> 'CancelTask' AS every, c.task_id, t.status, a.host, a.verdict, a.weight, a.detail,
    a.at,
    CASE WHEN c.hosts <> '' THEN string_to_array(c.hosts, E'\\n') ELSE ARRAY(
        SELECT name FROM hosts AS h WHERE state = 'online' OR (c.command <> 'CancelTask' AND EXISTS (
            SELECT FROM processes AS p WHERE p.host = h.name AND p.state NOT IN ('stopped', 'fatal')))
    ) END AS expected
FROM commands AS c LEFT JOIN tasks AS t USING (task_id) LEFT JOIN command_answers AS a USING (command_id)
WHERE c.command_id = ANY($1::text[])
ORDER BY c.command_id, a.host
"""

_CONCLUDED = {"command_id": "text", "state": "text", "detail": "text", "finished_at": "timestamptz"}

_CONCLUDE = f"""
UPDATE commands AS c SET state = n.state, detail = n.detail, finished_at = n.finished_at
FROM {unnest(_CONCLUDED)} AS n ({names(_CONCLUDED)})
WHERE c.command_id = n.command_id
    AND (c.state, c.detail, c.finished_at) IS DISTINCT FROM (n.state, n.detail, n.finished_at)
RETURNING {shown.columns("command", "c.")}
"""  # noqa: S608

#: Answered while somebody else looked, or by hosts of which the last one has left.
_UNCONCLUDED = """
SELECT command_id FROM commands AS c
WHERE state = 'issued' AND EXISTS (SELECT FROM command_answers AS a WHERE a.command_id = c.command_id)
ORDER BY answer_by LIMIT 500
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


async def upsert_answers(connection: Connection, rows: Collection[AnswerRow]) -> None:
    """Keep the strongest answer of each host."""
    await connection.execute(_UPSERT_ANSWERS, *arrays(_ANSWERS, rows))


async def conclude_commands(
    connection: Connection, command_ids: Collection[str], seen: shown.Shown, *, final: bool = False
) -> set[str]:
    """Bring the state of commands up to date with their answers; answer the ids of the tasks that they were about.

    With `final`, no more answers are expected.
    """
    rows = await connection.fetch(_ASKED, list(command_ids))
    concluded: list[tuple[str, Conclusion]] = []
    for command_id, asked in groupby(rows, key=itemgetter("command_id")):
        first, *others = asked
        answers = [AnswerRow(**{name: row[name] for name in _ANSWERS}) for row in (first, *others) if row["host"]]
        if first["every"]:
            conclusion = conclude_everywhere(answers, first["expected"], final=final)
        else:
            conclusion = conclude(answers, first["expected"], task_waits=first["status"] == "pending", final=final)
        if conclusion:
            concluded.append((command_id, conclusion))
    if concluded:
        columns = [(command_id, c.state, c.detail, c.finished_at) for command_id, c in concluded]
        seen.add("command", await connection.fetch(_CONCLUDE, *zip(*columns, strict=True)))
    return {row["task_id"] for row in rows if row["task_id"]}


async def select_commands(connection: Connection, command_ids: Collection[str], seen: shown.Shown) -> None:
    """The commands as they are."""
    seen.add("command", await connection.fetch(_SELECT, list(command_ids)))


async def conclude_answered(connection: Connection, seen: shown.Shown) -> set[str]:
    """Conclude what was answered in full by now; answer the ids of the tasks that it was about."""
    rows = await connection.fetch(_UNCONCLUDED)
    return await conclude_commands(connection, [row["command_id"] for row in rows], seen) if rows else set()


async def expire_commands(connection: Connection, seen: shown.Shown) -> set[str]:
    """Give up commands to which no more answers will come; answer the ids of the tasks that they were about."""
    rows = await connection.fetch(_OVERDUE)
    if not rows:
        return set()
    overdue = [row["command_id"] for row in rows]
    await lock_commands(connection, overdue)
    task_ids = await conclude_commands(connection, overdue, seen, final=True)
    seen.add("command", await connection.fetch(_EXPIRE, overdue))
    return task_ids
