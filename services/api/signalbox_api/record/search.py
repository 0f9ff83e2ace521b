"""Search of tasks: the newest whose name, error or arguments hold a text, or whose id begins with it.

Names are few: they are looked up in the counts, and the tasks of each are listed by the index on names. The rest is
one condition. If it fills the page among the newest tasks, that is all. Else PostgreSQL joins the indexes on ids and on
trigrams: where few tasks match, all of them are found and sorted; where many do, the newest tasks are read until enough
match. What takes longer than the time-out of the connection is answered as `TooBroad`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from signalbox.messages.ids import task_key
from signalbox.postgres.pool import Connection, Row
from signalbox_api.record.cursor import Cursor
from signalbox_api.record.task_filter import ANY_FINISHED, INDEXED, OPEN, ORDER, TaskFilter, Where, halves, where

#: Options of connections for searches. The limit ends what nobody waits for any more; a plan is made for each text,
#: because the right one depends on how common it is.
OPTIONS: Mapping[str, str] = {
    "statement_timeout": "1000",
    "plan_cache_mode": "force_custom_plan",
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}

#: So many of the newest tasks are looked through before an index on texts, of which a common text reads much.
NEWEST = 1_000
#: Up to so many matches are found and sorted; with more, at least one in a thousand of ten million tasks matches.
FEW = 10_000
#: Names whose tasks are listed one by one.
FEW_NAMES = 200

#: Whether every partition has its indexes on texts; those on arguments are made last.
_INDEXES = """
SELECT count(*) > 0 AND bool_and(EXISTS (
    SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = p.inhrelid AND i.indisvalid AND c.relname LIKE '%arguments'
))
FROM pg_inherits AS p WHERE p.inhparent = to_regclass('tasks')
"""
NOT_IN_TEXTS = (
    "Found by name and by the beginning of the id only: error texts and arguments have no index yet."
    " The log of the reconciler says why"
)

#: Three characters of a word, of which an index on trigrams can make use.
_TRIGRAM = re.compile(r"\w{3}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: After every text that begins like the one before it.
_LAST = "\U0010ffff"

_ARGUMENTS = "(args || ' ' || kwargs)"
_NAMES = """
SELECT value, detail FROM (
    SELECT value, detail, tasks FROM task_counts WHERE dimension = 'name' UNION ALL
    SELECT value, detail, tasks FROM task_count_deltas WHERE dimension = 'name'
) AS names
WHERE value ILIKE $1 OR detail ILIKE $1 GROUP BY value, detail HAVING sum(tasks) > 0
"""
_PLACE = "SELECT task_id, created_at FROM tasks"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the tasks that a search found, the newest first."""

    task_ids: Sequence[str]
    #: What was not searched and why, as a sentence; empty: nothing was left out.
    note: str = ""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text to search for."""

    q: str
    #: Whether error texts and arguments are searched.
    in_texts: bool
    #: The names in Celery that hold it, or whose short form does: the beginning of each that is indexed.
    names: Sequence[str]


async def search(connection: Connection, filters: TaskFilter, limit: int, after: Cursor | None) -> Found:
    """The newest tasks that match, after a place in the list."""
    if (exact := await _exact(connection, filters, after)) is not None:
        return Found(task_ids=exact)
    text, note = await _read_text(connection, filters.q or "")
    places: dict[str, datetime] = {}
    for half in halves(filters):
        for find in (_by_name, _by_text):
            rows = await find(connection, filters, text, half, limit, after)
            places |= {row["task_id"]: row["created_at"] for row in rows}
    newest = sorted(places, key=lambda task_id: (places[task_id], task_id), reverse=True)
    return Found(task_ids=newest[:limit], note=note)


async def open_matches(connection: Connection, filters: TaskFilter) -> Where:
    """The conditions of a filter with a search, among open tasks."""
    text, _ = await _read_text(connection, filters.q or "")
    found = where(filters)
    found.add(OPEN)
    found.conditions.append(_text_condition(found, text, names=True))
    return found


async def _read_text(connection: Connection, q: str) -> tuple[Text, str]:
    indexed = bool(await connection.fetchval(_INDEXES))
    rows = await connection.fetch(_NAMES, like(q))
    text = Text(
        q=q,
        in_texts=indexed and _TRIGRAM.search(q) is not None,
        names=sorted({row["detail"][:INDEXED] for row in rows}),
    )
    return text, "" if indexed else NOT_IN_TEXTS


async def _exact(connection: Connection, filters: TaskFilter, after: Cursor | None) -> Sequence[str] | None:
    """The task whose whole id is searched for; None where it is none that is known."""
    key = _whole_id(filters.q or "")
    if not key or not await connection.fetchval("SELECT count(*) FROM tasks WHERE task_id = $1", key):
        return None
    found = where(filters, after)
    found.add("task_id = {}", key)
    return [row["task_id"] for row in await connection.fetch(f"{_PLACE} {found.sql()}", *found.arguments)]


def _whole_id(q: str) -> str:
    """The key of the task of which this is certainly the whole id; empty where it may be a part."""
    if _UUID.fullmatch(q):
        return q.lower()
    key = task_key(q)
    return "" if key == q else key


async def _by_name(
    connection: Connection, filters: TaskFilter, text: Text, half: str, limit: int, after: Cursor | None
) -> list[Row]:
    if not text.names:
        return []
    found = where(filters, after)
    if len(text.names) > FEW_NAMES:
        place = found.argument(like(text.q))
        matching = f"name ILIKE {place} OR celery_name ILIKE {place}"
        return await _newest_of_many(connection, found, half, matching, limit)
    names = found.argument(list(text.names))
    found.add(f"left(celery_name, {INDEXED}) = n.name")
    place = found.argument(limit)
    return await connection.fetch(
        f"SELECT t.* FROM unnest({names}::text[]) AS n (name)"  # noqa: S608
        f" CROSS JOIN LATERAL ({_PLACE} {found.sql(half)} {ORDER} LIMIT {place}) AS t {ORDER} LIMIT {place}",
        *found.arguments,
    )


async def _by_text(
    connection: Connection, filters: TaskFilter, text: Text, half: str, limit: int, after: Cursor | None
) -> list[Row]:
    found = where(filters, after)
    matching = _text_condition(found, text, names=False)
    rows = await _newest_of_many(connection, found, half, matching, limit, among=NEWEST)
    if len(rows) == limit:
        return rows
    place = found.argument(FEW + 1)
    # MATERIALIZED: planned as if all rows were wanted, so that it reads no long index for the sake of a few.
    rows = await connection.fetch(
        f"WITH found AS MATERIALIZED ({_PLACE} {found.sql(half, matching)})"  # noqa: S608 - our own words
        f" SELECT * FROM found LIMIT {place}",
        *found.arguments,
    )
    if len(rows) <= FEW:
        return sorted(rows, key=lambda row: (row["created_at"], row["task_id"]), reverse=True)[:limit]
    found.arguments.pop()
    return await _newest_of_many(connection, found, half, matching, limit)


async def _newest_of_many(
    connection: Connection, found: Where, half: str, matching: str, limit: int, among: int | None = None
) -> list[Row]:
    """Read the newest tasks, or so many of them, until enough match."""
    columns = "task_id, created_at, name, celery_name, error, args, kwargs"
    # OFFSET 0, too, keeps the search a filter on what comes in the order of an index.
    end = f"LIMIT {among}" if among else "OFFSET 0"
    newest = f"SELECT {columns} FROM tasks {found.sql(half, ANY_FINISHED)} {ORDER} {end}"  # noqa: S608
    return await connection.fetch(
        f"SELECT task_id, created_at FROM ({newest}) AS newest WHERE {matching} LIMIT {limit}",  # noqa: S608 - our own words
        *found.arguments,
    )


def _text_condition(found: Where, text: Text, *, names: bool) -> str:
    """Add the arguments of the condition that a task holds the text, and return it."""
    conditions = []
    for beginning in dict.fromkeys((text.q, text.q.lower())):
        first, last = found.argument(beginning), found.argument(beginning + _LAST)
        conditions.append(f"(task_id >= {first} AND task_id < {last})")
    if text.in_texts:
        place = found.argument(like(text.q))
        conditions += [f"error ILIKE {place}", f"{_ARGUMENTS} ILIKE {place}"]
    if names and text.names:
        place = found.argument(list(text.names))
        conditions.append(f"left(celery_name, {INDEXED}) = ANY({place}::text[])")
    return f"({' OR '.join(conditions)})"


def like(text: str) -> str:
    """The pattern of what holds a text."""
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    return f"%{escaped}%"
