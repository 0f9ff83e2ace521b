"""Protocol of the controller's own socket: JSON, one request a line and one answer a line.

A request is a command as it goes over the bus, unsigned, or `ShowStatus`, or `FindUnseen`, or `ApplyConfiguration`. The
socket decides who may send it: its file mode, and the user id that the kernel gives for the other end. The controller
fills in who asks.
"""

from collections.abc import Callable
from typing import Literal

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


class ApplyConfiguration(Message, frozen=True, kw_only=True):
    """Request to read the configuration again, and to bring what has changed into effect; the answer is `Applied`."""

    #: Only say what would change.
    dry_run: bool = False
    #: How processes that run with other options are restarted: one after the other under the rolling lock, or not.
    restart: Literal["rolling", "none"] = "rolling"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an edited configuration changes of one process."""

    name: str
    #: `adjust`: it takes effect without another launch. `take over`: it ran, and was not configured.
    action: Literal["start", "stop", "restart", "adjust", "take over", "remove"]
    detail: str = ""


class Applied(Message, frozen=True, kw_only=True):
    """Answer to `ApplyConfiguration`."""

    host: str
    changes: tuple[Change, ...] = ()
    #: In words: what counts only when the controller is started anew.
    later: tuple[str, ...] = ()
    #: Whether it was done, and not only planned.
    done: bool = False
    #: In words: what was not as it should be afterwards.
    errors: tuple[str, ...] = ()


class NotDone(Message, frozen=True, kw_only=True):
    """Refusal of the controller, with its reason."""

    message: str


Request = AnyCommand | ShowStatus | FindUnseen | ApplyConfiguration
Reply = Answered | HostSeen | Unseen | Applied | NotDone

#: Each takes a line and raises UnreadableMessage when it is something else.
decode_request: Callable[[bytes], Request] = reader(msgspec.json.Decoder(Request))
decode_reply: Callable[[bytes], Reply] = reader(msgspec.json.Decoder(Reply))
