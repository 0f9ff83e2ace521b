"""Appending a line to the trail, in the transaction of the fact that it is about."""

from collections.abc import Mapping, Sequence

import msgspec

from signalbox.postgres.pool import Connection

#: Characters of a text that somebody else chose; what is longer is cut.
LONGEST = 300


_THERE = "SELECT to_regprocedure('append_trail(text, text, text, text, text, text)') IS NOT NULL"


class NewLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be appended; time and writer are added by PostgreSQL."""

    kind: str
    who: str
    #: The network address that it came from; empty where there is none.
    address: str = ""
    about: str = ""
    details: Mapping[str, object] = {}
    outcome: str = "done"


async def has_trail(connection: Connection) -> bool:
    """Whether a reconciler has made the tables of the trail."""
    return bool(await connection.fetchval(_THERE))


async def append(connection: Connection, line: NewLine) -> None:
    """Append a line; it is there when the caller's transaction is committed. One round trip, and no lock.

    Raises:
        DatabaseUnavailable: there is no trail yet: no reconciler has made its tables.
    """
    await append_all(connection, [line])


async def append_all(connection: Connection, lines: Sequence[NewLine]) -> None:
    """Append lines in their order, in one round trip; see `append`."""
    if not lines:
        return
    await connection.execute(
        "SELECT append_trail(n.kind, n.who, n.address, n.about, n.details, n.outcome) FROM unnest("
        "$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]"
        ") WITH ORDINALITY AS n (kind, who, address, about, details, outcome, place) ORDER BY place",
        *zip(*map(_fields, lines), strict=True),
    )


def _fields(line: NewLine) -> tuple[str, ...]:
    details = clean(msgspec.json.encode(line.details).decode(), 100 * LONGEST)
    return line.kind, *map(clean, (line.who, line.address, line.about)), details, line.outcome


def clean(text: str, longest: int = LONGEST) -> str:
    """The text without what PostgreSQL cannot store, and no longer than it may be."""
    shown = text.encode(errors="replace").decode().replace("\0", "\ufffd")
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
