"""The running tasks of one worker, as reported by its agent; kept here because a dead worker cannot be asked."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from signalbox.messages.base import Outcome, utc_now
from signalbox.messages.events import (
    AnyTaskEvent,
    TaskCancelled,
    TaskFailed,
    TaskReceived,
    TaskRequeued,
    TaskSignalled,
    TaskStarted,
)
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

    def _fields(self) -> dict[str, Any]:
        fields = msgspec.structs.asdict(self)
        del fields["acks_late"]
        return fields


class RunningTasks:
    """The runs of one launch of a worker, and the names of what it has taken from the queue."""

    def __init__(self) -> None:
        self.running: dict[str, Run] = {}
        self.node = ""
        self._names: dict[str, str] = {}

    def name(self, task_id: str) -> str:
        """What people call the task; empty when this worker does not know it."""
        return self._names.get(task_id, "")

    def knows(self, task_id: str) -> bool:
        """Whether this worker has taken it from its queue, and it is not over."""
        return task_id in self._names

    @property
    def held(self) -> frozenset[str]:
        """The ids of what it has taken from its queue and is not over."""
        return frozenset(self._names)

    def seed(self, runs: Iterable[Run]) -> None:
        """Begin with what is known from before; its agent knows better, if it still comes to speak."""
        self.running = {run.task_id: run for run in runs}
        self._names |= {run.task_id: run.name for run in self.running.values()}

    def note(self, event: AnyTaskEvent) -> None:
        """Take in what happened to a task."""
        if isinstance(event, TaskStarted):
            self._names[event.task_id] = event.name
            run = msgspec.convert(event, Run, from_attributes=True)
            self.running[event.task_id] = msgspec.structs.replace(run, started_at=event.at)
        elif isinstance(event, TaskReceived):
            self._names[event.task_id] = event.name
        elif not isinstance(event, TaskSignalled):
            known = self.running.get(event.task_id)
            if known is None or known.run <= event.run:
                self.running.pop(event.task_id, None)
                self._names.pop(event.task_id, None)

    def repair(self, snapshot: Snapshot) -> None:
        """Bring the table in line with what the worker really holds."""
        runs = {listed.task_id: self._run_of(listed) for listed in snapshot.running}
        held = {*runs, *snapshot.reserved}
        self.running = runs
        self._names = {task_id: self._names.get(task_id, "") for task_id in held}
        self._names |= {run.task_id: run.name for run in runs.values()}

    def _run_of(self, listed: SnapshotRun) -> Run:
        known = self.running.get(listed.task_id)
        if known is not None and known.run == listed.run:
            return known
        fields = msgspec.structs.asdict(listed) | {"celery_name": listed.celery_name or listed.name}
        return Run(**fields, worker=self.node, retries=_retries(listed.run))


def _retries(run: str) -> int:
    """The count with which a run begins; see `TaskEvent`."""
    head = run.partition(".")[0]
    return int(head) if head.isdigit() else 0
