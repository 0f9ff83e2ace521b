"""The table `cancels`: what came of each task that a cancel is about."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import groupby

import msgspec

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.conclude import Presumption
from signalbox_reconciler.fold.merge import merge_answer
from signalbox_reconciler.fold.rows import VerdictRow
from signalbox_reconciler.store.columns import arrays, assignments, names, unnest

#: What a host said of a task may be there before the command.
_INSERT = """
INSERT INTO cancels AS c (task_id, command_id, issued_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
ON CONFLICT (task_id, command_id) DO UPDATE SET issued_at = EXCLUDED.issued_at WHERE c.issued_at IS NULL
"""

_VERDICTS = {
    "task_id": "text",
    "command_id": "text",
    "verdict": "text",
    "weight": "smallint",
    "detail": "text",
    "at": "timestamptz",
}

_UPSERT = f"""
INSERT INTO cancels AS c (task_id, command_id, state, weight, detail, finished_at) SELECT * FROM {unnest(_VERDICTS)}
ON CONFLICT (task_id, command_id) DO UPDATE SET
    {assignments(("state", "weight", "detail", "finished_at"), "EXCLUDED.{}")}
WHERE (EXCLUDED.weight, EXCLUDED.finished_at) > (c.weight, c.finished_at)
"""  # noqa: S608 - names of our own columns

#: It waits in a worker without an agent, of which nothing is certain; or something may run on its host that nothing is
#: heard of.
_MAY_RUN_UNHEARD = """NOT t.confirmed OR EXISTS (
        SELECT FROM processes AS p LEFT JOIN hosts AS h ON h.name = p.host
        WHERE p.host = t.host AND p.kind = 'worker' AND p.state NOT IN ('stopped', 'fatal')
            AND h.state IS DISTINCT FROM 'online'
    )"""

_PRESUMED = {
    "command_id": "text",
    "elsewhere": "text",
    "waiting": "text",
    "unheard": "text",
    "at": "timestamptz",
}

#: What was presumed and has made its task failed stays so until a host knows better.
_PRESUME = f"""
UPDATE cancels AS c SET state = n.state, finished_at = n.at
FROM (
    SELECT c.command_id, c.task_id, k.at, CASE
        WHEN t.status IS DISTINCT FROM 'pending' THEN k.elsewhere
        WHEN {_MAY_RUN_UNHEARD} THEN k.unheard
        ELSE k.waiting END AS state
    FROM {unnest(_PRESUMED)} AS k ({names(_PRESUMED)})
    JOIN cancels AS c USING (command_id) LEFT JOIN tasks AS t USING (task_id)
    WHERE c.weight < 0 AND c.state <> 'dropped'
) AS n
WHERE c.command_id = n.command_id AND c.task_id = n.task_id AND n.state <> c.state
RETURNING c.task_id
"""  # noqa: S608

#: Cancels of tasks that now wait, and of which every host had said that they are not there.
_RECONSIDERED = """
SELECT DISTINCT command_id FROM cancels WHERE task_id = ANY($1::text[]) AND state = 'unknown' AND weight < 0
"""

_TALLY = """
SELECT command_id, state, count(*) AS tasks FROM cancels WHERE command_id = ANY($1::text[])
GROUP BY command_id, state ORDER BY command_id
"""

#: From when on a task is to be refused: one with an ETA waits for that first.
_SINCE = "max(GREATEST(c.issued_at, t.eta)) AS since FROM cancels AS c LEFT JOIN tasks AS t USING (task_id)"
_INTENTS_OF = f"SELECT c.task_id, {_SINCE} WHERE c.command_id = ANY($1::text[]) GROUP BY c.task_id"
_INTENTS = f"""
SELECT c.task_id, {_SINCE}
WHERE c.state <> 'refused' AND GREATEST(c.issued_at, t.eta) > now() - make_interval(secs => $1)
GROUP BY c.task_id ORDER BY since DESC LIMIT $2
"""

_FORGET = """
DELETE FROM cancels WHERE (task_id, command_id) IN (
    SELECT c.task_id, c.command_id FROM cancels AS c LEFT JOIN tasks AS t USING (task_id)
    WHERE COALESCE(c.issued_at, c.finished_at) < now() - make_interval(secs => $1)
        AND (t.eta IS NULL OR t.eta < now() - make_interval(secs => $1))
    LIMIT 5000
)
"""


class Presumed(msgspec.Struct, frozen=True, kw_only=True):
    """What a command came to for those of its tasks of which no host said anything."""

    command_id: str
    presumption: Presumption
    at: datetime


async def insert_cancels(connection: Connection, rows: Iterable[CommandRow]) -> None:
    """Note which tasks these commands are about."""
    about = [(task_id, row.command_id, row.issued_at) for row in rows for task_id in row.task_ids]
    if about:
        await connection.execute(_INSERT, *zip(*about, strict=True))


async def upsert_verdicts(connection: Connection, rows: Collection[VerdictRow]) -> None:
    """Keep the gravest that any host said of each task."""
    if rows:
        ordered = sorted(rows, key=_about)
        gravest = [reduce(merge_answer, said) for _, said in groupby(ordered, key=_about)]
        await connection.execute(_UPSERT, *arrays(_VERDICTS, gravest))


def _about(row: VerdictRow) -> tuple[str, str]:
    return row.task_id, row.command_id


async def presume_tasks(connection: Connection, presumed: Sequence[Presumed]) -> set[str]:
    """Note what is presumed of tasks; answer the ids of those of which something else was thought before."""
    columns = [
        (one.command_id, one.presumption.elsewhere, one.presumption.waiting, one.presumption.unheard, one.at)
        for one in presumed
    ]
    rows = await connection.fetch(_PRESUME, *zip(*columns, strict=True))
    return {row["task_id"] for row in rows}


async def reconsidered(connection: Connection, waiting: Collection[str]) -> set[str]:
    """The cancels that came to nothing, as far as was known before these tasks were heard of."""
    return {row["command_id"] for row in await connection.fetch(_RECONSIDERED, list(waiting))}


async def tally(connection: Connection, command_ids: Collection[str]) -> Mapping[str, Counter[str]]:
    """For each cancel, how many of its tasks are in which state."""
    rows = await connection.fetch(_TALLY, list(command_ids))
    tallies: dict[str, Counter[str]] = {command_id: Counter() for command_id in command_ids}
    for row in rows:
        tallies[row["command_id"]][row["state"]] = row["tasks"]
    return tallies


async def tasks_of(connection: Connection, command_ids: Collection[str]) -> set[str]:
    """The tasks that cancels are about."""
    rows = await connection.fetch("SELECT task_id FROM cancels WHERE command_id = ANY($1::text[])", list(command_ids))
    return {row["task_id"] for row in rows}


async def intents_of(connection: Connection, command_ids: Collection[str]) -> dict[str, datetime]:
    """The tasks that these cancels are about, and from when on each is to be refused."""
    return {row["task_id"]: row["since"] for row in await connection.fetch(_INTENTS_OF, list(command_ids))}


async def intents(connection: Connection, seconds: float, limit: int) -> dict[str, datetime]:
    """All that are to be refused for `seconds` and still are, the latest of them."""
    return {row["task_id"]: row["since"] for row in await connection.fetch(_INTENTS, seconds, limit)}


async def forget_cancels(connection: Connection, seconds: float) -> None:
    """Remove what no worker has to refuse any more; the trail keeps the commands, and the tasks their ends."""
    await connection.execute(_FORGET, seconds)
