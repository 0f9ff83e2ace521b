"""Lives of tasks, as the events that controllers would tell of them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from signalbox.messages.events import (
    AnyTaskEvent,
    TaskCancelled,
    TaskDropped,
    TaskFailed,
    TaskRan,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST, WORKER, COMMAND, KILLED = "web-07", "worker@web-07", "command-1", "Task cancelled manually"

End = Literal["succeeded", "failed", "retried", "requeued", "cancelled", "none"]


class _Heading(TypedDict):
    at: datetime
    host: str
    task_id: str
    run: str
    celery_name: str
    name: str
    worker: str
    retries: int


def after(seconds: float) -> datetime:
    """A time in the life of a task."""
    return START + timedelta(seconds=seconds)


class Life:
    """One task; each method tells what happened next, `seconds` after the start of time."""

    def __init__(self, task_id: str = "t1", host: str = HOST) -> None:
        self.task_id, self.host = task_id, host

    def received(self, seconds: float, retries: int = 0, args: str = "(1,)") -> TaskReceived:
        """A worker took it."""
        return TaskReceived(**self._heading(seconds, f"{retries:04d}", retries), queue="orders", args=args)

    def run(self, started: float, retries: int = 0, pid: int = 100) -> "Run":
        """A child takes it."""
        return Run(self, started, retries, pid)

    def dropped(self, seconds: float, retries: int = 0) -> TaskDropped:
        """Cancelled before it ran."""
        heading = self._heading(seconds, f"{retries:04d}", retries)
        return TaskDropped(**heading, outcome="cancelled", error=KILLED, command_id=COMMAND)

    def _heading(self, seconds: float, run: str, retries: int) -> _Heading:
        return _Heading(
            at=after(seconds),
            host=self.host,
            task_id=self.task_id,
            run=run,
            celery_name="shop.orders.charge",
            name="charge",
            worker=f"worker@{self.host}",
            retries=retries,
        )


class Run:
    """One run of a task."""

    def __init__(self, life: Life, started: float, retries: int, pid: int) -> None:
        self.life, self.at, self.retries, self.pid = life, started, retries, pid
        self.key = f"{retries:04d}.{round(after(started).timestamp() * 1000):013d}.abcdef12.{pid}"

    def started(self) -> TaskStarted:
        """It begins."""
        return TaskStarted(**self._heading(self.at), pid=self.pid)

    def signalled(self, seconds: float, signal: str = "TERM", kill_after: float | None = 5.0) -> TaskSignalled:
        """A cancel knocks."""
        kill_at = None if kill_after is None else after(seconds + kill_after)
        return TaskSignalled(**self._heading(seconds), command_id=COMMAND, signal=signal, pid=self.pid, kill_at=kill_at)

    def succeeded(self, seconds: float) -> TaskSucceeded:
        """It returns."""
        return TaskSucceeded(
            **self._heading(seconds), started_at=after(self.at), pid=self.pid, runtime=seconds - self.at
        )

    def ran(self, seconds: float, received: float | None = None) -> TaskRan:
        """It was over before its worker told of it, which took it from its queue then, or told that before."""
        return TaskRan(
            **self._heading(seconds),
            delivery=f"{self.retries:04d}",
            queue="orders",
            args=f"({self.retries},)",
            received_at=None if received is None else after(received),
            started_at=after(self.at),
            pid=self.pid,
            runtime=seconds - self.at,
        )

    def failed(self, seconds: float) -> TaskFailed:
        """It raises; whoever tells of it does not know which child it was."""
        return TaskFailed(**self._heading(seconds), outcome="error", error="ValueError('no')", traceback="Traceback")

    def retried(self, seconds: float) -> TaskRetried:
        """It raises Retry."""
        heading, at = self._heading(seconds), after(self.at)
        return TaskRetried(**heading, error="Busy()", started_at=at, pid=self.pid, left_processes=2)

    def requeued(self, seconds: float) -> TaskRequeued:
        """It gives the task back."""
        return TaskRequeued(**self._heading(seconds), pid=self.pid)

    def cancelled(self, seconds: float, signal: str = "TERM") -> TaskCancelled:
        """It was killed on purpose."""
        heading = self._heading(seconds)
        return TaskCancelled(**heading, command_id=COMMAND, signal=signal, pid=self.pid, proof="cgroup")

    def end(self, how: End, seconds: float) -> list[AnyTaskEvent]:
        """However it ends."""
        return [] if how == "none" else [getattr(self, how)(seconds)]

    def _heading(self, seconds: float) -> _Heading:
        return self.life._heading(seconds, self.key, self.retries)


@st.composite
def lives(draw: DrawFn, task_id: str = "t1") -> list[AnyTaskEvent]:
    """All events of a life, in the order in which they happened; some of them lost."""
    life, now, retries = Life(task_id, draw(st.sampled_from(["web-07", "web-08"]))), 0.0, 0
    events: list[AnyTaskEvent] = []
    for number in range(draw(st.integers(1, 4))):
        run = life.run(now + 2, retries, pid=100 + number)
        if draw(st.booleans()):
            events += _at_once(run, life.received(now + 1, retries, args=f"({retries},)"), told=draw(st.booleans()))
            break
        events.append(life.received(now + 1, retries, args=f"({retries},)"))
        events.append(run.started())
        if draw(st.booleans()):
            events.append(run.signalled(now + 3))
            events += [run.signalled(now + 4, "KILL", None)] if draw(st.booleans()) else []
        how: End = draw(st.sampled_from(["succeeded", "failed", "retried", "requeued", "cancelled", "none"]))
        events += run.end(how, now + 5)
        if how in {"succeeded", "failed", "cancelled"}:
            break
        retries += how == "retried"
        now += 10
    else:
        events += [life.dropped(now + 1, retries)] if draw(st.booleans()) else []
    lost = draw(st.sets(st.integers(0, len(events) - 1), max_size=len(events) - 1))
    return [event for place, event in enumerate(events) if place not in lost]


def _at_once(run: Run, received: TaskReceived, *, told: bool) -> list[AnyTaskEvent]:
    """The events of a run that was over before its worker wrote; `told` tells that its receipt was."""
    return [received, run.ran(run.at + 3)] if told else [run.ran(run.at + 3, run.at - 1)]


@st.composite
def deliveries(draw: DrawFn, lives_at_once: int = 2) -> tuple[list[AnyTaskEvent], list[list[AnyTaskEvent]]]:
    """The events of some lives in order, and the same shuffled, partly repeated, and cut into batches."""
    events = [event for number in range(lives_at_once) for event in draw(lives(f"t{number}"))]
    again = draw(st.lists(st.sampled_from(events), max_size=4))
    shuffled = draw(st.permutations([*events, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=4)))
    return events, list(_cut(shuffled, cuts))


def _cut(events: list[AnyTaskEvent], cuts: list[int]) -> Iterable[list[AnyTaskEvent]]:
    for begin, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        if batch := events[begin:end]:
            yield batch
