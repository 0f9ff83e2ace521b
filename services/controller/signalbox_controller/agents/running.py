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
    TaskRan,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox_agent.child.slot_state import REQUEUED, SlotState, find, label
from signalbox_agent.tasks.runs import run_key
from signalbox_controller.agents.protocol import Snapshot, SnapshotRun


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One started attempt of a task."""

    task_id: str
    run: str
    #: The key of the delivery that it began with; empty where nobody has said it.
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
    """A delivery that a worker has taken from its queue, and that waits there."""

    #: When it was seen there first.
    since: datetime
    name: str = ""
    celery_name: str = ""
    queue: str = ""


class RunningTasks:
    """The runs of one launch of a worker, and the deliveries that wait in it; an id may have several of both."""

    def __init__(self) -> None:
        self.node = ""
        #: By task id and run.
        self._running: dict[str, dict[str, Run]] = {}
        #: By task id and delivery; that of a listed one is not known, and empty.
        self._waiting: dict[str, dict[str, Taken]] = {}
        #: The runs that are over of tasks of which others run or wait.
        self._over: dict[str, list[Run]] = {}
        #: By task id and run.
        self._concluded: dict[tuple[str, str], tuple[Run, SlotState | None]] = {}

    def name(self, task_id: str) -> str:
        """What people call the task; empty when this worker does not know it."""
        runs, waiting = self._running.get(task_id, {}), self._waiting.get(task_id, {})
        names = [*(run.name for run in runs.values()), *(taken.name for taken in waiting.values())]
        return next(filter(None, names), "")

    def knows(self, task_id: str) -> bool:
        """Whether this worker has taken it from its queue, and it is not over."""
        return task_id in self._running or task_id in self._waiting

    @property
    def held(self) -> frozenset[str]:
        """The ids of what it has taken from its queue and is not over."""
        return frozenset(self._running.keys() | self._waiting.keys())

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
            self._end_wait(event.task_id, event.delivery, event.run)
            self._add(_begun(event, event.at))
            self._forget(event.task_id)
        elif isinstance(event, TaskRan):
            self._note_whole(event)
        elif isinstance(event, TaskReceived):
            taken = Taken(since=event.at, name=event.name, celery_name=event.celery_name, queue=event.queue)
            self._waiting.setdefault(event.task_id, {})[event.run] = taken
        elif not isinstance(event, TaskSignalled) and not self._was_concluded(event):
            self._end(event.task_id, event.run, event.delivery)

    def _note_whole(self, event: TaskRan) -> None:
        self._end_wait(event.task_id, event.delivery, event.run)
        if not self._was_concluded(event):
            self._over.setdefault(event.task_id, []).append(_begun(event, event.started_at))
        self._forget(event.task_id)

    def _was_concluded(self, event: AnyTaskEvent) -> bool:
        """Whether the end of this run was known already; from now on its worker knows it, too."""
        return self._concluded.pop((event.task_id, event.run), None) is not None

    def repair(self, snapshot: Snapshot) -> None:
        """Bring the table in line with what the worker really holds; what was concluded does not run again."""
        runs, now = [self._run_of(listed) for listed in snapshot.running], utc_now()
        self._waiting = {task_id: self._waiting.get(task_id) or {"": Taken(since=now)} for task_id in snapshot.reserved}
        self.seed(runs)
        self._over = {task_id: over for task_id, over in self._over.items() if self.knows(task_id)}

    def forget(self, run: Run) -> None:
        """It is over, and was reported."""
        self._end(run.task_id, run.run, run.delivery)

    def _add(self, run: Run) -> None:
        if (run.task_id, run.run) not in self._concluded:
            self._running.setdefault(run.task_id, {})[run.run] = run

    def _end(self, task_id: str, run: str, delivery: str) -> None:
        """A run is over, or a delivery that never ran."""
        if (ended := self._running.get(task_id, {}).pop(run, None)) is None:
            self._end_wait(task_id, delivery, run)
        else:
            self._over.setdefault(task_id, []).append(ended)
        self._forget(task_id)

    def _end_wait(self, task_id: str, delivery: str, run: str) -> None:
        """This delivery waits no more; older agents do not name it."""
        waiting = self._waiting.get(task_id, {})
        keys = (delivery, run, run.partition(".")[0])
        waiting.pop(next((key for key in keys if key in waiting), ""), None)

    def _forget(self, task_id: str) -> None:
        """Forget a task of which nothing runs or waits."""
        for table in (self._running, self._waiting):
            if not table.get(task_id):
                table.pop(task_id, None)
        if not self.knows(task_id):
            self._over.pop(task_id, None)

    # Ends that the worker has not reported

    def conclude(self, run: Run, state: SlotState | None) -> None:
        """Note that a run is over, which its worker does not know yet; `state` is how it ended by itself, if it did."""
        self._concluded[run.task_id, run.run] = (run, state)
        self._end(run.task_id, run.run, run.delivery)

    @property
    def concluded(self) -> Sequence[tuple[Run, SlotState | None]]:
        """The runs that are over, and of which the worker has not said so."""
        return list(self._concluded.values())

    def concluded_as(self, task_id: str) -> str:
        """The status of a task that is over, which its worker does not know; empty where it waits or runs again."""
        if self.knows(task_id):
            return ""
        ends = (state.status if state else "failed" for run, state in self.concluded if run.task_id == task_id)
        return next(filter(None, ends), "")

    def begun_unseen(self, slots: Mapping[int, Sequence[SlotState]], instance: str) -> list[WrittenRun]:
        """Deliveries that a child has begun, by its slot, and of which its worker has not even reported that.

        The slot may also show an earlier run of a task that was sent again under its id: one that was reported, or that
        began before the worker took the new message.
        """
        waiting = {label(task_id): (task_id, dict(taken)) for task_id, taken in self._waiting.items()}
        found: list[WrittenRun] = []
        for pid, states in slots.items():
            for state in sorted(states, key=lambda state: state.began):
                task_id, deliveries = waiting.get(state.task_id, ("", {}))
                begun = [key for key, taken in deliveries.items() if taken.since.timestamp() <= state.began]
                if begun and not self._reported(pid, state, task_id, states):
                    taken = deliveries.pop(begun[0])
                    found.append((self._run_in(pid, state, task_id, begun[0], taken, instance), state))
        return found

    def add_unreported(self, slots: Mapping[int, Sequence[SlotState]], instance: str) -> None:
        """Add what each child has begun after the latest run that its worker has noted: nothing of it was reported.

        To be called where nothing else is known of the worker; the runs that it has noted are in the table.
        """
        for pid, states in slots.items():
            noted = [run for run in self.all() if run.pid == pid]
            since = max((_began(run, states) for run in noted), default=0.0)
            for state in states:
                if state.began > since:
                    taken = Taken(since=datetime.fromtimestamp(state.began, UTC))
                    self._add(self._run_in(pid, state, state.task_id, "", taken, instance))

    def _reported(self, pid: int, state: SlotState, task_id: str, states: Sequence[SlotState]) -> bool:
        """Whether a state in the slot of a child is that of a run that its worker has reported."""
        known = [*self.of(task_id), *self._over.get(task_id, ())]
        return any(
            find(states, run.task_id, run.retries, run.started_at.timestamp()) is state
            for run in known
            if run.pid == pid and run.started_at is not None
        )

    def _run_in(self, pid: int, state: SlotState, task_id: str, delivery: str, taken: Taken, instance: str) -> Run:
        celery_name = taken.celery_name or state.celery_name
        return Run(
            task_id=task_id,
            run=run_key(state.retries, state.began, instance, pid),
            delivery=delivery,
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
        known = self._running.get(listed.task_id, {}).get(listed.run)
        if known is not None:
            return known
        fields = msgspec.structs.asdict(listed) | {"celery_name": listed.celery_name or listed.name}
        return Run(**fields, worker=self.node, retries=_retries(listed.run))


def _began(run: Run, states: Sequence[SlotState]) -> float:
    """When its child began it, by its slot if that still shows it."""
    started_at = run.started_at.timestamp() if run.started_at else 0.0
    state = find(states, run.task_id, run.retries, started_at)
    return state.began if state else started_at


def _begun(event: TaskStarted | TaskRan, started_at: datetime) -> Run:
    return Run(
        task_id=event.task_id,
        run=event.run,
        delivery=event.delivery,
        pid=event.pid,
        celery_name=event.celery_name,
        name=event.name,
        worker=event.worker,
        queue=event.queue,
        retries=event.retries,
        started_at=started_at,
        acks_late=event.acks_late,
    )


def _retries(run: str) -> int:
    """The count with which a run begins; see `TaskEvent`."""
    head = run.partition(".")[0]
    return int(head) if head.isdigit() else 0
