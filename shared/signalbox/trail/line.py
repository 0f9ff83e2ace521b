"""Line of the trail, the bytes of it that are hashed, and what the two ends of the chain are; pure."""

from hashlib import sha256

import msgspec

#: The hash before the first line.
ZERO = "00" * 32


class TrailLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line, as it is exported."""

    #: Its place in the chain, without gaps from 1 on; None: it is not chained yet.
    number: int | None
    #: SHA-256 in hexadecimal, over this line and the hash of the one before; empty: it is not chained yet.
    hash: str
    #: Its number in the table, in which transactions that were rolled back leave gaps.
    line: int
    #: RFC 3339 in UTC, by the clock of PostgreSQL.
    at: str
    #: The role of PostgreSQL that wrote it.
    written_by: str
    kind: str
    who: str
    #: The network address that it came from; empty where there is none.
    address: str
    about: str
    #: JSON.
    details: str
    outcome: str
    #: The chain has the line, the table has not: all of its content is empty.
    lost: bool = False


class End(msgspec.Struct, frozen=True, kw_only=True):
    """One end of the chain."""

    number: int
    hash: str
    #: When it came to be the end.
    at: str


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """Both ends of the chain."""

    #: The last line that retention has removed; 0: none was.
    cut: End
    #: The last line that is chained.
    head: End


def digest(previous: str, line: TrailLine) -> str:
    """The hash that a line must have after the hash `previous`.

    SHA-256 over netstrings (length in bytes, colon, UTF-8, comma) of: number, hash before in hexadecimal, number in the
    table, time, role, kind, who, address, about, details, outcome. `chain_trail` in the reconciler's migrations does
    the same in SQL.
    """
    fields = (
        *(str(line.number), previous, str(line.line), line.at, line.written_by),
        *(line.kind, line.who, line.address, line.about, line.details, line.outcome),
    )
    encoded = (field.encode() for field in fields)
    return sha256(b"".join(b"%d:%b," % (len(field), field) for field in encoded)).hexdigest()
