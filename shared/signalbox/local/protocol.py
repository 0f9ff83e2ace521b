"""Protocol of the controller's own socket: JSON, one request a line and one answer a line.

A request is a command as it goes over the bus, unsigned, or `ShowStatus`. The socket decides who may
send it: its file mode, and the user id that the kernel gives for the other end. The controller fills in the issuer.
"""

from collections.abc import Callable

import msgspec

from signalbox.lines import reader
from signalbox.messages.base import Message
from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import HostSeen
from signalbox.messages.receipts import Answered

#: Bytes of a request: the most tasks that a command may name, with ids of the longest kind.
REQUEST_LIMIT = 2_097_152
#: The beginning of `issued_by` for a command from the host itself: `local:root@web-07`.
ISSUER = "local"


class ShowStatus(Message, frozen=True, kw_only=True):
    """Request for the state of this host; the answer is `HostSeen`."""


class NotDone(Message, frozen=True, kw_only=True):
    """Refusal of the controller, with its reason."""

    message: str


Request = AnyCommand | ShowStatus
Reply = Answered | HostSeen | NotDone

#: Each takes a line and raises UnreadableMessage when it is something else.
decode_request: Callable[[bytes], Request] = reader(msgspec.json.Decoder(Request))
decode_reply: Callable[[bytes], Reply] = reader(msgspec.json.Decoder(Reply))
