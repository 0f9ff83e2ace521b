"""What the handlers of commands work with, and what they answer."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from signalbox.messages.commands import CancelTask
from signalbox.messages.events import Event
from signalbox.messages.receipts import ProcessReport, Receipt, TaskVerdict, Verdict
from signalbox_controller.agents.server import Agents
from signalbox_controller.cancelling.cancelled_ids import Refusals
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.rolling_lock import Turns
from signalbox_controller.linux.reaper import Reaper


class Tell(Protocol):
    """As `Outbox.put`."""

    def __call__(
        self, *events: Event, receipts: Sequence[Receipt] = (), published: Callable[[], None] | None = None
    ) -> None:
        """Have it published."""


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The host, as the handlers see it."""

    host: str
    fleet: Fleet
    agents: Agents
    reaper: Reaper
    turns: Turns
    #: The tasks that must never run.
    cancelled: Refusals
    #: For what the world should know before the command is answered.
    tell: Tell
    #: Has workers without an agent give a task up; answers what can be said of it, if one of them has it.
    elsewhere: Callable[[CancelTask], Awaitable["Result | None"]]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a command; becomes a CommandDone and an Answered, published together with `events`."""

    verdict: Verdict
    detail: str = ""
    #: Cancels only.
    task_id: str | None = None
    task_name: str = ""
    #: CancelTasks only: those of which the host can say more than `unknown`.
    tasks: tuple[TaskVerdict, ...] = ()
    processes: tuple[ProcessReport, ...] = ()
    tasks_killed: int = 0
    #: What was seen, and must be told in the same breath as the result.
    events: tuple[Event, ...] = ()
    #: To be called when Redis has it.
    published: tuple[Callable[[], None], ...] = ()

    def published_all(self) -> None:
        """Redis has it: tell whoever waits for that."""
        for published in self.published:
            published()
