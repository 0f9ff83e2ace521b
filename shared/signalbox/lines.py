"""Lines of JSON: structs to bytes, alone or one a line, and back; the codec of every protocol of ours."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from signalbox.errors import UnreadableMessage

T = TypeVar("T")

#: Bytes of an unreadable message that its error shows.
_SHOWN = 200
_encoder = msgspec.json.Encoder()


def encode(message: msgspec.Struct) -> bytes:
    """The wire form of a message."""
    return _encoder.encode(message)


def encode_line(message: msgspec.Struct) -> bytes:
    """The wire form with a newline, for streams."""
    return _encoder.encode(message) + b"\n"


def reader(decoder: msgspec.json.Decoder[T]) -> Callable[[bytes | msgspec.Raw], T]:
    """A function from bytes to a message, which raises UnreadableMessage for anything else."""

    def read(data: bytes | msgspec.Raw) -> T:
        try:
            return decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadableMessage(f"{error} in {bytes(data)[:_SHOWN]!r}") from error

    return read
