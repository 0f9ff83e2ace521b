"""What is said on the controller's own socket: JSON, one request a line and one answer a line.

A request is a command as it goes over the bus, unsigned, or `ShowStatus`. Who may ask is decided by the socket:
its file mode, and the user id that the kernel gives for the other end. The controller fills in who asked.
"""

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.messages.base import Message
from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import HostSeen
from signalbox.messages.receipts import Answered

#: Bytes of a request: the most tasks that a command may name, with ids of the longest kind.
REQUEST_LIMIT = 2_097_152
#: What `issued_by` begins with when somebody asked on the host itself: `local:root@web-07`.
ISSUER = "local"


class ShowStatus(Message, frozen=True, kw_only=True):
    """Tell how everything on this host is; answered with `HostSeen`."""


class NotDone(Message, frozen=True, kw_only=True):
    """The controller would not do it, and says why."""

    message: str


Request = AnyCommand | ShowStatus
Reply = Answered | HostSeen | NotDone

_encoder = msgspec.json.Encoder()
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """The wire form, with its newline."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """What somebody asks for.

    Raises:
        UnreadableMessage: not a request.
    """
    try:
        return _requests.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(f"{error} in {line[:200]!r}") from error


def decode_reply(line: bytes) -> Reply:
    """What the controller answers.

    Raises:
        UnreadableMessage: not an answer.
    """
    try:
        return _replies.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableMessage(f"{error} in {line[:200]!r}") from error
