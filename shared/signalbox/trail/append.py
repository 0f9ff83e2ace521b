"""Appending a line to the trail, in the transaction of the fact that it is about."""

from collections.abc import Mapping

import msgspec

from signalbox.postgres.pool import Connection

#: Characters of a text that somebody else chose; what is longer is cut.
LONGEST = 300


class NewLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line to be appended; time and writer are added by PostgreSQL."""

    kind: str
    who: str
    #: The network address that it came from; empty where there is none.
    address: str = ""
    about: str = ""
    details: Mapping[str, object] = {}
    outcome: str = "done"


async def append(connection: Connection, line: NewLine) -> None:
    """Append a line; it is there when the caller's transaction is committed. One round trip, and no lock.

    Raises:
        DatabaseUnavailable: there is no trail yet: no reconciler has made its tables.
    """
    await connection.execute(
        "SELECT append_trail($1, $2, $3, $4, $5, $6)",
        *(line.kind, *map(clean, (line.who, line.address, line.about))),
        clean(msgspec.json.encode(line.details).decode(), 100 * LONGEST),
        line.outcome,
    )


def clean(text: str, longest: int = LONGEST) -> str:
    """The text without what PostgreSQL cannot store, and no longer than it may be."""
    shown = text.encode(errors="replace").decode().replace("\0", "\ufffd")
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
