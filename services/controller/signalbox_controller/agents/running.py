"""The running tasks of one worker, as reported by its agent; kept here because a dead worker cannot be asked."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from signalbox.messages.base import Outcome, utc_now
from signalbox.messages.events import (
    AnyTaskEvent,
    TaskCancelled,
    TaskFailed,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox_agent.child.slot import REQUEUED, SlotState, label
from signalbox_agent.tasks.runs import run_key
from signalbox_controller.agents.protocol import Snapshot, SnapshotRun


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One started attempt of a task."""

    task_id: str
    run: str
    pid: int
    celery_name: str
    name: str
    worker: str
    queue: str = ""
    retries: int = 0
    started_at: datetime | None = None
    #: Whether its message is acknowledged when it is over: its broker may hand it out again.
    acks_late: bool = False

    def failed(self, host: str, outcome: Outcome, error: str) -> TaskFailed:
        """The event that says that it ended with its worker."""
        return TaskFailed(at=utc_now(), host=host, outcome=outcome, error=error, **self._fields())

    def requeued(self, host: str, outcome: Outcome, error: str) -> TaskRequeued:
        """The event that says that it ended with its worker, and that the task goes back to its queue."""
        return TaskRequeued(at=utc_now(), host=host, outcome=outcome, error=error, **self._fields())

    def cancelled(self, host: str, command_id: str, signal: str) -> TaskCancelled:
        """The event that says that it was ended by a cancel."""
        return TaskCancelled(at=utc_now(), host=host, command_id=command_id, signal=signal, **self._fields())

    def ended(self, host: str, state: SlotState) -> "RunEnd":
        """The event of the end that its child wrote; see `SlotState.stored`."""
        fields = {"at": datetime.fromtimestamp(state.ended, UTC), "host": host, **self._fields()}
        match state.word:
            case "SUCCESS" | "IGNORED":
                outcome: Outcome = "succeeded" if state.word == "SUCCESS" else "ignored"
                return TaskSucceeded(outcome=outcome, runtime=state.runtime, **fields)
            case "RETRY":
                return TaskRetried(error=state.error, traceback=state.traceback, **fields)
            case word if word == REQUEUED:
                return TaskRequeued(error=state.error, **fields)
            case _:
                outcome = cast("Outcome", state.outcome)
                return TaskFailed(outcome=outcome, error=state.error, traceback=state.traceback, **fields)

    def _fields(self) -> dict[str, Any]:
        fields = msgspec.structs.asdict(self)
        del fields["acks_late"]
        return fields


#: The events that a run ends with.
RunEnd = TaskSucceeded | TaskFailed | TaskRetried | TaskRequeued


#: A run, and how far it has come, as its child wrote it.
WrittenRun = tuple[Run, SlotState]


class HeldRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that a dead worker held."""

    #: Those that nobody will report about any more.
    lost: Sequence[Run] = ()
    #: Those that had ended by themselves, which their children wrote and nobody has reported.
    ended: Sequence[WrittenRun] = ()
    #: Those of which the worker had not even reported that they began.
    unseen: Sequence[WrittenRun] = ()
    #: Those whose end the controller has reported before the worker died; without a state, their process had died.
    concluded: Sequence[tuple[Run, SlotState | None]] = ()


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A task that a worker has taken from its queue."""

    #: When it was seen there first.
    since: datetime
    name: str = ""
    celery_name: str = ""
    queue: str = ""


class RunningTasks:
    """The runs of one launch of a worker, and what it has taken from the queue."""

    def __init__(self) -> None:
        self.running: dict[str, Run] = {}
        self.node = ""
        self._taken: dict[str, Taken] = {}
        self._concluded: dict[str, tuple[Run, SlotState | None]] = {}

    def name(self, task_id: str) -> str:
        """What people call the task; empty when this worker does not know it."""
        taken = self._taken.get(task_id)
        return taken.name if taken is not None else ""

    def knows(self, task_id: str) -> bool:
        """Whether this worker has taken it from its queue, and it is not over."""
        return task_id in self._taken

    @property
    def held(self) -> frozenset[str]:
        """The ids of what it has taken from its queue and is not over."""
        return frozenset(self._names)

    def seed(self, runs: Iterable[Run]) -> None:
        """Begin with what is known from before; its agent knows better, if it still comes to speak."""
        self.running = {run.task_id: run for run in runs}
        self._taken |= {run.task_id: _taken_by(run) for run in self.running.values()}

    def note(self, event: AnyTaskEvent) -> None:
        """Take in what happened to a task."""
        if isinstance(event, TaskStarted):
            self._start(msgspec.structs.replace(msgspec.convert(event, Run, from_attributes=True), started_at=event.at))
        elif isinstance(event, TaskReceived):
            self._taken[event.task_id] = Taken(
                since=event.at, name=event.name, celery_name=event.celery_name, queue=event.queue
            )
        elif not isinstance(event, TaskSignalled):
            self._concluded.pop(event.run, None)
            self._end(event.task_id, event.run)

    def _start(self, run: Run) -> None:
        if run.run not in self._concluded:
            self.running[run.task_id] = run
            self._taken[run.task_id] = _taken_by(run)

    def _end(self, task_id: str, run: str) -> None:
        known = self.running.get(task_id)
        if known is None or known.run <= run:
            self.running.pop(task_id, None)
            self._taken.pop(task_id, None)

    def repair(self, snapshot: Snapshot) -> None:
        """Bring the table in line with what the worker really holds; what was concluded does not run again."""
        listed = (self._run_of(listed) for listed in snapshot.running)
        runs = {run.task_id: run for run in listed if run.run not in self._concluded}
        now = utc_now()
        self.running = runs
        self._taken = {task_id: self._taken.get(task_id) or Taken(since=now) for task_id in snapshot.reserved}
        self._taken |= {run.task_id: _taken_by(run) for run in runs.values()}

    # Ends that the worker has not reported

    def conclude(self, run: Run, state: SlotState | None) -> None:
        """Note that a run is over, which its worker does not know yet; `state` is how it ended by itself, if it did."""
        self._concluded[run.run] = (run, state)
        self._end(run.task_id, run.run)

    @property
    def concluded(self) -> Sequence[tuple[Run, SlotState | None]]:
        """The runs that are over, and of which the worker has not said so."""
        return list(self._concluded.values())

    def concluded_as(self, task_id: str) -> str:
        """The status of a task that is over, which its worker does not know; empty where it waits or runs again."""
        if task_id in self._taken:
            return ""
        ends = (state.status if state else "failed" for run, state in self.concluded if run.task_id == task_id)
        return next(filter(None, ends), "")

    def begun_unseen(self, slots: Mapping[int, Sequence[SlotState]], instance: str) -> list[WrittenRun]:
        """Tasks that a child has begun, by its slot, and of which its worker has not even reported that.

        The slot may also show an earlier run of a task that was sent again under its id: that has begun before the
        worker took the new message.
        """
        waiting = {label(task_id): task_id for task_id in self._taken if task_id not in self.running}
        found: dict[str, WrittenRun] = {}
        for pid, states in slots.items():
            for state in states:
                task_id = waiting.get(state.task_id)
                if task_id is not None and state.began >= self._taken[task_id].since.timestamp():
                    found[task_id] = (self._run_in(pid, state, task_id, instance), state)
        return list(found.values())

    def _run_in(self, pid: int, state: SlotState, task_id: str, instance: str) -> Run:
        taken = self._taken[task_id]
        celery_name = taken.celery_name or state.celery_name
        return Run(
            task_id=task_id,
            run=run_key(state.retries, state.began, instance, pid),
            pid=pid,
            celery_name=celery_name,
            name=taken.name or celery_name.rpartition(".")[2],
            worker=self.node,
            queue=taken.queue,
            retries=state.retries,
            started_at=datetime.fromtimestamp(state.began, UTC),
            acks_late=state.acks_late,
        )

    def _run_of(self, listed: SnapshotRun) -> Run:
        known = self.running.get(listed.task_id)
        if known is not None and known.run == listed.run:
            return known
        fields = msgspec.structs.asdict(listed) | {"celery_name": listed.celery_name or listed.name}
        return Run(**fields, worker=self.node, retries=_retries(listed.run))


def _taken_by(run: Run) -> Taken:
    return Taken(since=run.started_at or utc_now(), name=run.name, celery_name=run.celery_name, queue=run.queue)


def _retries(run: str) -> int:
    """The count with which a run begins; see `TaskEvent`."""
    head = run.partition(".")[0]
    return int(head) if head.isdigit() else 0
