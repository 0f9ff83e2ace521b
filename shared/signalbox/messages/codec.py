"""Bytes to messages and back: JSON, by msgspec."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.messages.base import Message
from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import AnyEvent
from signalbox.messages.receipts import AnyReceipt

M = TypeVar("M")

_encoder = msgspec.json.Encoder()
_commands = msgspec.json.Decoder(AnyCommand)
_events = msgspec.json.Decoder(AnyEvent)
_receipts = msgspec.json.Decoder(AnyReceipt)


def encode(message: Message) -> bytes:
    """The wire form of any message."""
    return _encoder.encode(message)


def _reading(decoder: msgspec.json.Decoder[M]) -> Callable[[bytes], M]:
    def read(data: bytes) -> M:
        try:
            return decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableMessage(f"{error} in {data[:200]!r}") from error

    return read


#: Each takes bytes, answers a message, and raises UnreadableMessage.
decode_command = _reading(_commands)
decode_event = _reading(_events)
decode_receipt = _reading(_receipts)
