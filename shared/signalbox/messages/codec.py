"""The codec of the bus: commands, events and receipts from their bytes, and the signature of a command.

Only who holds the installation's key can give commands (HMAC-SHA256, RFC 2104).
"""

import hashlib
import hmac

import msgspec

from signalbox.errors import BadSignature, UnreadableMessage
from signalbox.lines import encode, reader
from signalbox.messages.commands import TYPES, AnyCommand, UnknownCommand
from signalbox.messages.events import AnyEvent
from signalbox.messages.receipts import AnyReceipt

__all__ = ["decode_command", "decode_event", "decode_receipt", "decode_unknown_command", "encode", "sign", "verify"]

#: Each takes bytes, answers a message, and raises UnreadableMessage.
decode_command = reader(msgspec.json.Decoder(AnyCommand))
decode_event = reader(msgspec.json.Decoder(AnyEvent))
decode_receipt = reader(msgspec.json.Decoder(AnyReceipt))
_decode_common = reader(msgspec.json.Decoder(UnknownCommand))


def decode_unknown_command(data: bytes) -> UnknownCommand | None:
    """What can be read of a command of a newer release; None of all else, also of a damaged one of a known type."""
    try:
        command = _decode_common(data)
    except UnreadableMessage:
        return None
    return None if command.type in TYPES else command


def sign(key: str, data: bytes) -> bytes:
    """The signature of `data`, in hexadecimal."""
    return hmac.new(key.encode(), data, hashlib.sha256).hexdigest().encode()


def verify(key: str, data: bytes, signature: bytes | None) -> None:
    """Pass silently, or raise BadSignature."""
    if not signature or not hmac.compare_digest(sign(key, data), signature):
        raise BadSignature("the command is not signed with this installation's key")
