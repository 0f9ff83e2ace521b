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
    delivery: str = ""
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
    """The runs of one launch of a worker, and the deliveries that wait in it; an id may have several of both."""

    def __init__(self) -> None:
        self.node = ""
        #: By task id and run.
        self._running: dict[str, dict[str, Run]] = {}
        #: The keys of the deliveries that wait, by task id; a listed one whose key is not known has an empty one.
        self._waiting: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}

    def name(self, task_id: str) -> str:
        """What people call the task; empty when this worker does not know it."""
        return self._names.get(task_id, "")

    def knows(self, task_id: str) -> bool:
        """Whether this worker has taken it from its queue, and it is not over."""
        return task_id in self._names

    def all(self) -> list[Run]:
        """Every run."""
        return [run for runs in self._running.values() for run in runs.values()]

    def of(self, task_id: str) -> list[Run]:
        """The runs of one task, the first one first."""
        return list(self._running.get(task_id, {}).values())

    def seed(self, runs: Iterable[Run]) -> None:
        """Begin with what is known from before; its agent knows better, if it still comes to speak."""
        self._running = {}
        for run in runs:
            self._add(run)

    def clear(self) -> None:
        """Nothing runs any more."""
        self._running.clear()

    def note(self, event: AnyTaskEvent) -> None:
        """Take in what happened to a task."""
        if isinstance(event, TaskStarted):
            self._end_wait(event)
            run = msgspec.convert(event, Run, from_attributes=True)
            self._add(msgspec.structs.replace(run, started_at=event.at))
        elif isinstance(event, TaskReceived):
            self._waiting.setdefault(event.task_id, set()).add(event.run)
            self._names[event.task_id] = event.name
        elif not isinstance(event, TaskSignalled):
            if self._running.get(event.task_id, {}).pop(event.run, None) is None:
                self._end_wait(event)
            self._forget(event.task_id)

    def repair(self, snapshot: Snapshot) -> None:
        """Bring the table in line with what the worker really holds."""
        runs = [self._run_of(listed) for listed in snapshot.running]
        self._waiting = {task_id: self._waiting.get(task_id) or {""} for task_id in snapshot.reserved}
        self._names = {task_id: self._names.get(task_id, "") for task_id in snapshot.reserved}
        self.seed(runs)

    def _add(self, run: Run) -> None:
        self._running.setdefault(run.task_id, {})[run.run] = run
        self._names[run.task_id] = run.name

    def _end_wait(self, event: AnyTaskEvent) -> None:
        """The delivery of this event waits no more; older agents do not name it."""
        waiting = self._waiting.get(event.task_id, set())
        keys = (event.delivery, event.run, event.run.partition(".")[0])
        waiting.discard(next((key for key in keys if key in waiting), ""))

    def _forget(self, task_id: str) -> None:
        """Forget a task of which nothing runs or waits."""
        for table in (self._running, self._waiting):
            if not table.get(task_id):
                table.pop(task_id, None)
        if task_id not in self._running and task_id not in self._waiting:
            self._names.pop(task_id, None)

    def _run_of(self, listed: SnapshotRun) -> Run:
        known = self._running.get(listed.task_id, {}).get(listed.run)
        if known is not None:
            return known
        fields = msgspec.structs.asdict(listed) | {"celery_name": listed.celery_name or listed.name}
        return Run(**fields, worker=self.node, retries=_retries(listed.run))


def _retries(run: str) -> int:
    """The count with which a run begins; see `TaskEvent`."""
    head = run.partition(".")[0]
    return int(head) if head.isdigit() else 0
