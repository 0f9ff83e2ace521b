"""Events, named in the past tense. Published by controllers, folded into the record by the reconciler."""

from typing import Any

import msgspec

from signalbox.messages.base import Certainty, Evidence, Message, Moment, Outcome, ProcessKind, ProcessState
from signalbox.messages.commands import AnyCommand
from signalbox.messages.ids import printable, short_name, task_key
from signalbox.messages.receipts import ProcessReport, TaskVerdict
from signalbox.messages.verdicts import CANCELLED_ERROR, Verdict


class Event(Message, frozen=True, kw_only=True):
    """Something that happened, when, and on which host (the controller fills in `host`)."""

    at: Moment
    host: str = ""


class TaskEvent(Event, frozen=True, kw_only=True):
    """Something that happened to one run of a task, or to one delivery of it that no child has begun.

    `run` names and orders them: the count of retries, the start in milliseconds, the worker's instance and the
    child's pid, joined by dots. Before the start it is that of the delivery. Its numbers are compared as numbers.
    """

    #: The key of its id: see `signalbox.messages.ids`.
    task_id: str
    #: The whole id, where that is not its key.
    full_id: str = ""
    run: str
    #: The delivery that the run came by: retries, receipt in milliseconds, the worker's instance, `w` and a number
    #: (`r` if its broker marked it as redelivered) and, where the broker names messages, that name. Empty: not known.
    delivery: str = ""
    #: The task's name in Celery, such as `shop.orders.charge`.
    celery_name: str
    #: What people call it: its shadow name, or the last part of `celery_name`.
    name: str
    #: Celery's node name, such as `worker@web-07`.
    worker: str
    queue: str = ""
    retries: int = 0
    #: All but what was seen is shown as not confirmed. `host` is empty then: a node name may say anything.
    certainty: Certainty = "seen"

    def __post_init__(self) -> None:
        """Make it fit for the record: older agents send the id and the name as they are."""
        key, name = task_key(self.task_id), short_name(self.name)
        if key != self.task_id:
            msgspec.structs.force_setattr(self, "full_id", self.full_id or printable(self.task_id))
            msgspec.structs.force_setattr(self, "task_id", key)
        if name != self.name:
            msgspec.structs.force_setattr(self, "name", name)


class TaskReceived(TaskEvent, frozen=True, kw_only=True):
    """A worker took the task from its queue; it waits for a free child, or for its time."""

    args: str = ""
    kwargs: str = ""
    eta: Moment | None = None
    root_id: str | None = None
    parent_id: str | None = None


class TaskStarted(TaskEvent, frozen=True, kw_only=True):
    """A pool child began to run the task; in pools whose tasks share the worker's process, that has."""

    #: The pool child's, not the worker's; 0 where it is not known.
    pid: int
    args: str = ""
    kwargs: str = ""
    #: Whether Celery acknowledges it only when it is over, so that it may be delivered again.
    acks_late: bool = False


class TaskSucceeded(TaskEvent, frozen=True, kw_only=True):
    """The task returned; `outcome` is `ignored` when it raised Ignore."""

    started_at: Moment | None = None
    pid: int | None = None
    #: How many processes it has left running; they are not ended. Only where pool children have cgroups.
    left_processes: int = 0
    #: Seconds.
    runtime: float | None = None
    result: str = ""
    outcome: Outcome = "succeeded"


class TaskRan(TaskEvent, frozen=True, kw_only=True):
    """The task began and returned within moments: what a TaskReceived, TaskStarted and TaskSucceeded tell, at once.

    `at` is the time of the return.
    """

    #: When the worker took it from its queue; None if a TaskReceived has told that.
    received_at: Moment | None = None
    eta: Moment | None = None
    root_id: str | None = None
    parent_id: str | None = None
    args: str = ""
    kwargs: str = ""
    started_at: Moment
    pid: int
    acks_late: bool = False
    #: How many processes it has left running; they are not ended. Only where pool children have cgroups.
    left_processes: int = 0
    #: Seconds.
    runtime: float | None = None
    result: str = ""
    outcome: Outcome = "succeeded"

    def events(self) -> "tuple[TaskReceived | TaskStarted | TaskSucceeded, ...]":
        """The events that it stands for, in the order in which they happened."""
        started = TaskStarted(at=self.started_at, **_common(self, TaskStarted))
        succeeded = TaskSucceeded(at=self.at, **_common(self, TaskSucceeded))
        if self.received_at is None:
            return started, succeeded
        received = _common(self, TaskReceived) | {"run": self.delivery}
        return TaskReceived(at=self.received_at, **received), started, succeeded


def _common(event: Event, kind: type[Event]) -> dict[str, Any]:
    """The fields that an event has in common with another kind, but for its time."""
    names = set(event.__struct_fields__) & set(kind.__struct_fields__) - {"at"}
    return {name: getattr(event, name) for name in names}


class TaskFailed(TaskEvent, frozen=True, kw_only=True):
    """The attempt is over, without success, and will not be retried."""

    outcome: Outcome
    error: str
    traceback: str = ""
    started_at: Moment | None = None
    pid: int | None = None
    #: How many processes it has left running; they are not ended. Only where pool children have cgroups.
    left_processes: int = 0


class TaskRetried(TaskEvent, frozen=True, kw_only=True):
    """The attempt failed, and Celery will try again."""

    error: str
    traceback: str = ""
    started_at: Moment | None = None
    pid: int | None = None
    #: How many processes it has left running; they are not ended. Only where pool children have cgroups.
    left_processes: int = 0


class TaskRequeued(TaskEvent, frozen=True, kw_only=True):
    """The attempt gave the task back to its queue, or ended with its worker and will be delivered again."""

    #: Why, as the log of the attempt says it.
    outcome: Outcome = "rejected"
    error: str = ""
    started_at: Moment | None = None
    pid: int | None = None
    #: How many processes it has left running; they are not ended. Only where pool children have cgroups.
    left_processes: int = 0


class TaskDropped(TaskEvent, frozen=True, kw_only=True):
    """The task was dropped before it ran: cancelled, revoked elsewhere, expired, or its message was rejected."""

    outcome: Outcome
    error: str
    command_id: str | None = None


class TaskSignalled(TaskEvent, frozen=True, kw_only=True):
    """A cancel sent a signal and waits for the process to die."""

    command_id: str
    signal: str
    pid: int
    #: When KILL follows; none once it was sent.
    kill_at: Moment | None = None


class TaskCancelled(TaskEvent, frozen=True, kw_only=True):
    """The task's process and all that descended from it were seen dead after a cancel; or its greenlet was."""

    command_id: str
    pid: int
    #: The signal that did it: TERM or KILL; GreenletExit where it was no signal, and the process lives on.
    signal: str
    started_at: Moment | None = None
    #: Every process that was ended with it.
    killed: tuple[int, ...] = ()
    error: str = CANCELLED_ERROR
    #: None: its sender does not say.
    proof: Evidence | None = None
    #: How many processes it has left running: when its body ended, before the cancel, or as they outlived KILL.
    left_processes: int = 0


class EventsLost(Event, frozen=True, kw_only=True):
    """A worker's agent had to drop events while its controller was away; snapshots repair the rest."""

    worker: str
    count: int


class ProcessChanged(Event, frozen=True, kw_only=True):
    """A supervised process changed state."""

    name: str
    kind: ProcessKind
    state: ProcessState
    desired: ProcessState
    #: Unique to one launch of the process.
    instance: str = ""
    pid: int | None = None
    node: str = ""
    since: Moment | None = None
    exit_code: int | None = None
    #: In words: why it is so.
    message: str = ""
    #: When it is killed, if it has not stopped by then; none while nothing is to be waited for.
    kill_at: Moment | None = None
    #: A beat that is wanted and does not run, because another host's does.
    standby: bool = False
    #: Launched by somebody else, who alone can stop and start it.
    guest: bool = False
    #: The queues that a worker consumes, by its own report; what it consumed last, when it does not run.
    queues: tuple[str, ...] = ()
    #: Whether the configuration of its host names it; one that it names no longer can be stopped, and not started.
    configured: bool = True
    #: The keys, with commas between, whose values in the configuration are not those that it runs with.
    outdated: str = ""


class EventNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """The events that a controller has numbered; heartbeats have no number."""

    #: Unique to one start of the controller; with each the numbers begin anew, at 1.
    epoch: str
    #: The number of the latest event before this one.
    last: int


class HostSeen(Event, frozen=True, kw_only=True):
    """A controller is alive; sent at start and as a heartbeat, with all that it supervises."""

    processes: tuple[ProcessChanged, ...] = ()
    #: The ids and runs of the tasks that its workers run at this moment.
    running: tuple[tuple[str, str], ...] = ()
    #: Seconds until the next one.
    interval: float = 2.0
    #: What proves on this host that nothing of a task is left, and why it is that.
    proof: Evidence | None = None
    proof_detail: str = ""
    #: By them the record notices events that the bus has lost.
    numbers: EventNumbers | None = None
    #: Seconds by which its clock is ahead of that of the bus, 0 where that is tolerated; the times in its events are
    #: corrected by it. None: its controller does not say.
    clock_ahead: float | None = None

    def __post_init__(self) -> None:
        running = tuple((task_key(task_id), run) for task_id, run in self.running)
        msgspec.structs.force_setattr(self, "running", running)


class HostLeft(Event, frozen=True, kw_only=True):
    """A controller ended on purpose; its processes may run on."""


class WaitingCompared(Event, frozen=True, kw_only=True):
    """A host compared tasks that the record shows as waiting with its workers, and with the queues of its own."""

    #: The time of the question, by which the record knows it.
    asked_at: Moment
    #: The ids of those that a worker of the host holds, or that are in its queues.
    seen: tuple[str, ...] = ()
    #: The ids of those that a worker of this host had last, and that are neither in its queues nor in any worker here.
    absent: tuple[str, ...] = ()


class CommandDone(Event, frozen=True, kw_only=True):
    """A host did its part of a command, and this is what came of it."""

    command_id: str
    verdict: Verdict
    detail: str = ""
    task_id: str | None = None
    #: CancelTasks only: those of which the host can say more than `unknown`.
    tasks: tuple[TaskVerdict, ...] = ()
    processes: tuple[ProcessReport, ...] = ()

    def __post_init__(self) -> None:
        if self.task_id is not None:
            msgspec.structs.force_setattr(self, "task_id", task_key(self.task_id))


class CommandRefused(Event, frozen=True, kw_only=True):
    """A host would not carry the command out: expired, unsigned, or not addressed to it."""

    command_id: str
    reason: str


class CommandGiven(Event, frozen=True, kw_only=True):
    """An operator on the host itself gave a command, through the controller's own socket; for the audit trail."""

    command: AnyCommand


AnyTaskEvent = (
    TaskReceived
    | TaskStarted
    | TaskSucceeded
    | TaskRan
    | TaskFailed
    | TaskRetried
    | TaskRequeued
    | TaskDropped
    | TaskSignalled
    | TaskCancelled
)
AnyEvent = (
    AnyTaskEvent
    | EventsLost
    | ProcessChanged
    | HostSeen
    | HostLeft
    | WaitingCompared
    | CommandDone
    | CommandRefused
    | CommandGiven
)
