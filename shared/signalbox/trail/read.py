"""Reading the trail from PostgreSQL: its ends, and its lines part by part, whether or not all are there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import msgspec

from signalbox.postgres.pool import Connection, Row
from signalbox.trail.line import End, Ends, TrailLine

#: Lines of one part.
PART = 1000

#: Runs a query on a connection: on one that is held, or on one of a pool.
Run = Callable[[Callable[[Connection], Awaitable[list[TrailLine]]]], Awaitable[list[TrailLine]]]

_ENDS = "SELECT name, number, encode(hash, 'hex') AS hash, trail_time(at) AS at FROM trail_ends"
_CONTENT = "t.line, trail_time(t.at) AS at, t.written_by, t.kind, t.who, t.address, t.about, t.details, t.outcome"
_IN_TIME = "($2::timestamptz IS NULL OR t.at >= $2) AND ($3::timestamptz IS NULL OR t.at < $3)"
_CHAINED = f"""
SELECT c.number, encode(c.hash, 'hex') AS hash, {_CONTENT}, c.line AS chained, t.line IS NULL AS lost
FROM trail_chain AS c LEFT JOIN trail AS t ON t.line = c.line
WHERE c.number > $1 AND {_IN_TIME} ORDER BY c.number LIMIT {PART}
"""  # noqa: S608 - our own columns
_UNCHAINED = f"""
SELECT NULL::bigint AS number, '' AS hash, {_CONTENT}, t.line AS chained, false AS lost
FROM trail AS t WHERE t.line > $1 AND NOT EXISTS (SELECT FROM trail_chain AS c WHERE c.line = t.line) AND {_IN_TIME}
ORDER BY t.line LIMIT {PART}
"""  # noqa: S608


class Period(msgspec.Struct, frozen=True):
    """Times of lines; None: no bound."""

    since: datetime | None = None
    #: The first moment that is too late.
    until: datetime | None = None


async def read_ends(connection: Connection) -> Ends:
    """Both ends of the chain."""
    found = {
        row["name"]: End(number=row["number"], hash=row["hash"], at=row["at"]) for row in await connection.fetch(_ENDS)
    }
    nothing = End(number=-1, hash="", at="")
    return Ends(cut=found.get("cut", nothing), head=found.get("head", nothing))


async def read_lines(run: Run, period: Period | None = None, after: int = -1) -> AsyncIterator[list[TrailLine]]:
    """All lines in parts: those of the chain after a number, in its order, then those that are not chained yet."""
    period = period or Period()
    for query, begin in ((_CHAINED, after), (_UNCHAINED, -1)):
        place = begin
        while part := await run(lambda connection, q=query, p=place: _fetch(connection, q, p, period)):  # type: ignore[misc]
            yield part
            last = part[-1]
            place = last.line if last.number is None else last.number
            if len(part) < PART:
                break


async def _fetch(connection: Connection, query: str, after: int, period: Period) -> list[TrailLine]:
    return [_line(row) for row in await connection.fetch(query, after, period.since, period.until)]


def _line(row: Row) -> TrailLine:
    texts = ("at", "written_by", "kind", "who", "address", "about", "details", "outcome")
    return TrailLine(
        number=row["number"],
        hash=row["hash"],
        line=row["chained"],
        lost=row["lost"],
        **{name: row[name] if row[name] is not None else "" for name in texts},
    )
