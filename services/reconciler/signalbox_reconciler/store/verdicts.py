"""Verdicts on the tasks of cancels: the table `cancels`."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import reduce
from itertools import groupby

import msgspec

from signalbox.postgres.pool import Connection
from signalbox_reconciler.fold.conclusion import InferredVerdicts
from signalbox_reconciler.fold.merge import merge_answer
from signalbox_reconciler.fold.rows import VerdictRow
from signalbox_reconciler.store.allows import HOLDS
from signalbox_reconciler.store.columns import assignments, names, unnest

VERDICTS = {
    "task_id": "text",
    "command_id": "text",
    "verdict": "text",
    "weight": "smallint",
    "detail": "text",
    "at": "timestamptz",
}

#: `{{}}` is where the verdicts are from, a table function.
UPSERT_VERDICTS = f"""
INSERT INTO cancels AS c (task_id, command_id, state, weight, detail, finished_at) SELECT * FROM {{}}
ON CONFLICT (task_id, command_id) DO UPDATE SET
    {assignments(("state", "weight", "detail", "finished_at"), "EXCLUDED.{}")}
WHERE (EXCLUDED.weight, EXCLUDED.finished_at) > (c.weight, c.finished_at)
"""  # noqa: S608 - names of our own columns

#: It waits in a worker without an agent, where nothing is certain, or on a silent host with processes that may run.
_MAY_RUN_ON_SILENT_HOST = """NOT t.confirmed OR EXISTS (
        SELECT FROM processes AS p LEFT JOIN hosts AS h ON h.name = p.host
        WHERE p.host = t.host AND p.kind = 'worker' AND p.state NOT IN ('stopped', 'fatal')
            AND h.state IS DISTINCT FROM 'online'
    )"""

_INFERRED = {"command_id": "text", **dict.fromkeys(InferredVerdicts.__struct_fields__, "text"), "at": "timestamptz"}

#: An inferred verdict that made its task failed stays until a host reports another.
_WRITE_INFERRED = f"""
UPDATE cancels AS c SET state = n.state, finished_at = n.at
FROM (
    SELECT c.command_id, c.task_id, k.at, CASE
        WHEN t.status IS DISTINCT FROM 'pending' THEN k.not_waiting
        WHEN {_MAY_RUN_ON_SILENT_HOST} THEN k.on_silent_host
        ELSE k.waiting END AS state
    FROM {unnest(_INFERRED)} AS k ({names(_INFERRED)})
    JOIN cancels AS c USING (command_id) LEFT JOIN open_tasks AS t USING (task_id)
    WHERE c.weight < 0 AND c.state <> 'dropped'
) AS n
WHERE c.command_id = n.command_id AND c.task_id = n.task_id AND n.state <> c.state
RETURNING c.task_id
"""  # noqa: S608

#: Cancels of tasks that now wait, and that every host had reported as not there.
_TO_RECONSIDER = """
SELECT DISTINCT command_id FROM cancels WHERE task_id = ANY($1::text[]) AND state = 'unknown' AND weight < 0
"""

_TALLY = """
SELECT command_id, state, count(*) AS tasks FROM cancels WHERE command_id = ANY($1::text[])
GROUP BY command_id, state ORDER BY command_id
"""

#: The time from which a task is refused; one with an ETA waits for that first.
_SINCE = "max(GREATEST(c.issued_at, t.eta)) AS since FROM cancels AS c LEFT JOIN tasks AS t USING (task_id)"
_INTENTS_OF = f"SELECT c.task_id, {_SINCE} WHERE c.command_id = ANY($1::text[]) AND {HOLDS} GROUP BY c.task_id"
_INTENTS = f"""
SELECT c.task_id, {_SINCE}
WHERE c.state <> 'refused' AND {HOLDS} AND GREATEST(c.issued_at, t.eta) > now() - make_interval(secs => $1)
GROUP BY c.task_id ORDER BY since DESC LIMIT $2
"""

_DELETE_OLD = """
DELETE FROM cancels WHERE (task_id, command_id) IN (
    SELECT c.task_id, c.command_id FROM cancels AS c LEFT JOIN tasks AS t USING (task_id)
    WHERE COALESCE(c.issued_at, c.finished_at) < now() - make_interval(secs => $1)
        AND (t.eta IS NULL OR t.eta < now() - make_interval(secs => $1))
    LIMIT 5000
)
"""

#: For each cancel the inferred verdicts on those of its tasks that no host reported, and their time.
Inferred = Mapping[str, tuple[InferredVerdicts, datetime]]


def gravest(rows: Iterable[VerdictRow]) -> list[VerdictRow]:
    """Of the verdicts of all hosts on each task the gravest."""
    ordered = sorted(rows, key=_about)
    return [reduce(merge_answer, verdicts) for _, verdicts in groupby(ordered, key=_about)]


def _about(row: VerdictRow) -> tuple[str, str]:
    return row.task_id, row.command_id


async def write_inferred(connection: Connection, inferred: Inferred) -> set[str]:
    """Write inferred verdicts; return the ids of the tasks whose verdict changed."""
    columns = [(command_id, *msgspec.structs.astuple(verdicts), at) for command_id, (verdicts, at) in inferred.items()]
    rows = await connection.fetch(_WRITE_INFERRED, *zip(*columns, strict=True))
    return {row["task_id"] for row in rows}


async def cancels_to_reconsider(connection: Connection, waiting: Collection[str]) -> set[str]:
    """The cancels that found none of these tasks, before the tasks were recorded."""
    return {row["command_id"] for row in await connection.fetch(_TO_RECONSIDER, list(waiting))}


async def tally(connection: Connection, command_ids: Collection[str]) -> Mapping[str, Counter[str]]:
    """For each cancel, the number of its tasks by state."""
    rows = await connection.fetch(_TALLY, list(command_ids))
    tallies: dict[str, Counter[str]] = {command_id: Counter() for command_id in command_ids}
    for row in rows:
        tallies[row["command_id"]][row["state"]] = row["tasks"]
    return tallies


async def tasks_of(connection: Connection, command_ids: Collection[str]) -> set[str]:
    """The tasks of these cancels."""
    rows = await connection.fetch("SELECT task_id FROM cancels WHERE command_id = ANY($1::text[])", list(command_ids))
    return {row["task_id"] for row in rows}


async def intents_of(connection: Connection, command_ids: Collection[str]) -> dict[str, datetime]:
    """The tasks of these cancels, with the time from which each is refused."""
    return {row["task_id"]: row["since"] for row in await connection.fetch(_INTENTS_OF, list(command_ids))}


async def intents(connection: Connection, seconds: float, limit: int) -> dict[str, datetime]:
    """The latest `limit` tasks that are still refused, `seconds` after their cancel at most."""
    return {row["task_id"]: row["since"] for row in await connection.fetch(_INTENTS, seconds, limit)}


async def forget_cancels(connection: Connection, seconds: float) -> None:
    """Delete cancels of tasks that no worker has to refuse any more; commands and tasks stay recorded."""
    await connection.execute(_DELETE_OLD, seconds)
