"""Checkpoint of the trail: its head at some time, signed, to be kept where nobody of PostgreSQL can reach it; pure."""

import hmac
from hashlib import sha256

import msgspec

from signalbox.errors import BadSignature, UnreadableMessage
from signalbox.trail.line import End

#: Bytes of a key.
SHORTEST = 32


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a file, or of a log."""

    number: int
    hash: str
    #: When it was chained, by the clock of PostgreSQL.
    at: str
    #: HMAC-SHA256 in hexadecimal, over the fields before, one a line.
    hmac: str


def sign(key: bytes, head: End) -> bytes:
    """The checkpoint of this head, as a line of JSON without its end."""
    signature = _signature(key, head.number, head.hash, head.at)
    return msgspec.json.encode(Checkpoint(number=head.number, hash=head.hash, at=head.at, hmac=signature))


def read(key: bytes, text: str) -> End:
    """The head in a checkpoint; what a log has written before its `{` is passed over.

    Raises:
        UnreadableMessage: it is no checkpoint.
        BadSignature: it was not signed with this key, or changed.
    """
    try:
        point = msgspec.json.decode(text[max(text.find("{"), 0) :], type=Checkpoint)
    except msgspec.DecodeError as error:
        raise UnreadableMessage(f"{text.strip()[:80]!r} is no checkpoint: {error}") from error
    if not hmac.compare_digest(point.hmac.encode(), _signature(key, point.number, point.hash, point.at).encode()):
        raise BadSignature(f"the checkpoint of line {point.number} was not signed with this key, or was changed")
    return End(number=point.number, hash=point.hash, at=point.at)


def _signature(key: bytes, number: int, digest: str, at: str) -> str:
    return hmac.new(key, f"signalbox trail\n{number}\n{digest}\n{at}".encode(), sha256).hexdigest()
