"""Ports of the command handlers, and the result of a handler."""

from collections.abc import Awaitable, Callable

import msgspec

from signalbox.messages.base import Evidence
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import Event
from signalbox.messages.receipts import ProcessReport, TaskVerdict
from signalbox.messages.verdicts import Verdict
from signalbox_controller.agents.server import Agents
from signalbox_controller.cancelling.cancelled_ids import CancelledIds
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.rolling_lock import RollingLock
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.state.outbox import Outbox


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the controller that handlers use."""

    host: str
    fleet: Fleet
    agents: Agents
    reaper: Reaper
    #: Makes the lock of one restart, from the id of its command.
    rolling_lock: Callable[..., RollingLock]
    #: The tasks that must never run.
    cancelled: CancelledIds
    outbox: Outbox
    #: Revokes a task in the workers without an agent; the result is None when none of them has the task.
    cancel_agentless: Callable[[CancelTask], Awaitable["Result | None"]]
    #: How many hosts read commands, this one among them.
    hosts_present: Callable[[], int]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a command; becomes a CommandDone and an Answered, published together with `events`."""

    verdict: Verdict
    detail: str = ""
    #: Cancels only.
    task_name: str = ""
    #: Of what was ended: a task, or processes.
    proof: Evidence | None = None
    #: CancelTasks only: those whose verdict is not `unknown`.
    tasks: tuple[TaskVerdict, ...] = ()
    processes: tuple[ProcessReport, ...] = ()
    tasks_killed: int = 0
    #: Events that are published together with the result.
    events: tuple[Event, ...] = ()
    #: Called when the result outlives the controller: on disk, or in Redis.
    kept: tuple[Callable[[], None], ...] = ()

    def kept_all(self) -> None:
        """Call each callback of `kept`."""
        for kept in self.kept:
            kept()
