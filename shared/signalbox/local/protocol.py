"""Protocol of the controller's own socket: JSON, one request a line and one answer a line.

A request is a command as it goes over the bus, unsigned, or `ShowStatus`, or `FindUnseen`. The socket decides who may
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


class FindUnseen(Message, frozen=True, kw_only=True):
    """Request for the Celery workers that no agent speaks for; the answer is `Unseen`."""


class UnseenWorker(msgspec.Struct, frozen=True, kw_only=True):
    """One that the process table of this machine shows."""

    pid: int
    command: str
    #: Why it has no agent, as far as that can be seen.
    reason: str


class Unseen(Message, frozen=True, kw_only=True):
    """The workers that have no agent, busy or idle."""

    workers: tuple[UnseenWorker, ...] = ()
    #: The node names of those that the watches of this host have heard of, wherever they run.
    nodes: tuple[str, ...] = ()


class NotDone(Message, frozen=True, kw_only=True):
    """Refusal of the controller, with its reason."""

    message: str


Request = AnyCommand | ShowStatus | FindUnseen
Reply = Answered | HostSeen | Unseen | NotDone

#: Each takes a line and raises UnreadableMessage when it is something else.
decode_request: Callable[[bytes], Request] = reader(msgspec.json.Decoder(Request))
decode_reply: Callable[[bytes], Reply] = reader(msgspec.json.Decoder(Reply))
