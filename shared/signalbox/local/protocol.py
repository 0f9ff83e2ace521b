"""What is said on the controller's own socket: JSON, one request a line and one answer a line.

A request is a command as it goes over the bus, unsigned, or `ShowStatus`. Who may ask is decided by the socket:
its file mode, and the user id that the kernel gives for the other end. The controller fills in who asked.
"""

from collections.abc import Callable

import msgspec

from signalbox.lines import encode_line, reader
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

#: Each takes a line and raises UnreadableMessage when it is something else.
decode_request: Callable[[bytes], Request] = reader(msgspec.json.Decoder(Request))
decode_reply: Callable[[bytes], Reply] = reader(msgspec.json.Decoder(Reply))


def encode(message: Request | Reply) -> bytes:
    """The wire form, with its newline."""
    return encode_line(message)
