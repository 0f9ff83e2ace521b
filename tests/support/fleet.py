"""What really happens to tasks on some workers, and what is told of it: the measure that the record is held to.

Nothing here knows how the record is made. A turn of a task is what one worker makes of one delivery of its message.
"""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from signalbox.messages.base import Outcome, Status
from signalbox.messages.events import (
    AnyEvent,
    HostSeen,
    TaskCancelled,
    TaskDropped,
    TaskFailed,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox_agent.tasks.runs import delivery_key, run_key
from support.history import KILLED, START

#: Hosts, one letter for each of its workers.
HOSTS = {"web-07": "ab", "web-08": "c"}
#: Seconds between two heartbeats.
HEARTBEAT = 2.0


class _Heading(TypedDict):
    at: datetime
    host: str
    task_id: str
    run: str
    celery_name: str
    name: str
    worker: str
    retries: int
    delivery: str


@dataclasses.dataclass(eq=False)
class Worker:
    """One worker; launched again each time that it dies."""

    host: str
    name: str
    launches: int = 1

    @property
    def instance(self) -> str:
        """Unique to one launch."""
        return f"{ord(self.name):02x}{self.launches:06x}"


@dataclasses.dataclass(eq=False)
class Letter:
    """A message of a task in its queue."""

    task_id: str
    retries: int = 0
    again: bool = False
    #: Its broker's name for it; the same when it is delivered again.
    message: str = "m0"


@dataclasses.dataclass(eq=False)
class Turn:
    """What became of one delivery."""

    worker: Worker
    instance: str
    letter: Letter
    received_at: datetime
    #: Whether Celery acknowledges it only when it is over.
    late: bool
    started_at: datetime | None = None
    pid: int | None = None
    status: Status = "pending"
    outcome: Outcome | None = None
    error: str | None = None
    finished_at: datetime | None = None
    signal: str | None = None
    kill_at: datetime | None = None
    #: Whether the worker has it no longer.
    over: bool = False

    @property
    def delivery(self) -> str:
        """As the agent makes it."""
        mark = f"{'r' if self.letter.again else 'w'}1.{self.letter.message}"
        return delivery_key(self.letter.retries, self.received_at.timestamp(), self.instance, mark)

    @property
    def key(self) -> str:
        """As the agent makes it."""
        if self.started_at is None:
            return self.delivery
        return run_key(self.letter.retries, self.started_at.timestamp(), self.instance, self.pid or 0)

    @property
    def place(self) -> tuple[int, datetime]:
        """Of several turns of a task the greatest is the latest."""
        return self.letter.retries, self.started_at or self.received_at

    @property
    def waits(self) -> bool:
        """No child has it yet."""
        return self.started_at is None and not self.over

    @property
    def runs(self) -> bool:
        """A child runs it."""
        return self.started_at is not None and not self.over


class Fleet:
    """Workers on two hosts, and some tasks; each method is something that happens, and is told to `tell`."""

    def __init__(self, tasks: Sequence[str], tell: Callable[[AnyEvent], None]) -> None:
        self.now = START
        self.workers = [Worker(host, name) for host, names in HOSTS.items() for name in names]
        self.queue = [Letter(task_id) for task_id in tasks]
        self.turns: list[Turn] = []
        self._tell = tell

    def wait(self, seconds: float) -> None:
        """Time passes; never less than what the key of a run can tell apart."""
        self.now += timedelta(seconds=max(seconds, 0.001))

    # A turn begins

    def receive(self, letter: Letter, worker: Worker, *, late: bool) -> None:
        """A worker takes it from its queue."""
        self.wait(0)
        self.queue.remove(letter)
        turn = Turn(worker, worker.instance, letter, self.now, late)
        self.turns.append(turn)
        self._tell(TaskReceived(**self._heading(turn), queue="orders", args=f"({letter.retries},)"))

    def start(self, turn: Turn) -> None:
        """A child accepts it."""
        self.wait(0)
        turn.started_at, turn.pid, turn.status = self.now, 100 + len(self.turns), "running"
        self._tell(TaskStarted(**self._heading(turn), pid=turn.pid, acks_late=turn.late))

    # It ends by itself

    def succeed(self, turn: Turn, *, told_after: float = 0.0) -> None:
        """It returns; a worker that has lost its broker hears of it later."""
        began = turn.started_at or self.now
        self._end(turn, "completed", "succeeded", None)
        runtime = (self.now - began).total_seconds()
        self.wait(told_after)
        self._tell(TaskSucceeded(**self._heading(turn), started_at=turn.started_at, pid=turn.pid, runtime=runtime))

    def fail(self, turn: Turn, outcome: Outcome = "error") -> None:
        """It raises, exceeds its time, is terminated by somebody else, or dies with its child."""
        self._end(turn, "failed", outcome, f"it was {outcome}")
        self._tell(TaskFailed(**self._heading(turn), outcome=outcome, error=f"it was {outcome}", traceback="Traceback"))

    def retry(self, turn: Turn) -> None:
        """It raises Retry."""
        self._end(turn, "pending", "error", "Busy()")
        retries = turn.letter.retries + 1
        self.queue.append(Letter(turn.letter.task_id, retries, message=f"{turn.letter.message}x{len(self.turns)}"))
        began = {"started_at": turn.started_at, "pid": turn.pid}
        self._tell(TaskRetried(**self._heading(turn), error="Busy()", **began))  # type: ignore[arg-type]

    def give_back(self, turn: Turn, outcome: Outcome = "rejected") -> None:
        """It asks to be requeued, or is lost with its worker and was not acknowledged."""
        self._end(turn, "pending", outcome, f"given back: {outcome}")
        self._return(turn)
        heading = self._heading(turn)
        self._tell(TaskRequeued(**heading, outcome=outcome, error=f"given back: {outcome}", pid=turn.pid))

    # It is ended

    def knock(self, turn: Turn, command_id: str = "c0") -> None:
        """A cancel sends TERM, or KILL after that."""
        self.wait(0)
        turn.kill_at = None if turn.signal else self.now + timedelta(seconds=5)
        turn.signal = "KILL" if turn.signal else "TERM"
        signal = {"signal": turn.signal, "kill_at": turn.kill_at}
        self._tell(TaskSignalled(**self._heading(turn), command_id=command_id, pid=turn.pid or 0, **signal))  # type: ignore[arg-type]

    def die(self, turn: Turn, command_id: str = "c0") -> None:
        """It dies of a cancel."""
        turn.signal = turn.signal or "TERM"
        self._end(turn, "failed", "cancelled", KILLED)
        died = {"signal": turn.signal, "pid": turn.pid or 0, "command_id": command_id}
        self._tell(TaskCancelled(**self._heading(turn), **died))  # type: ignore[arg-type]

    def drop(self, turn: Turn, outcome: Outcome = "cancelled") -> None:
        """Its worker will not let it run."""
        error = KILLED if outcome == "cancelled" else f"it was {outcome}"
        self._end(turn, "failed", outcome, error)
        self._tell(TaskDropped(**self._heading(turn), outcome=outcome, error=error))

    # Something else happens

    def deliver_again(self, turn: Turn) -> None:
        """The broker thinks that its worker is gone, and hands it out a second time."""
        self._return(turn)

    def lose(self, worker: Worker, *, by_order: bool) -> None:
        """A worker dies; its controller tells what became of its runs, and nobody of what waited in it."""
        for turn in self.live(worker):
            if turn.waits:
                turn.over = True
                self._return(turn)
            elif turn.late and not by_order:
                self.give_back(turn, "worker_lost")
            else:
                self.fail(turn, "stopped" if by_order else "worker_lost")
        worker.launches += 1

    def seen(self, host: str) -> HostSeen:
        """What the controller of a host says of it, all in all."""
        self.wait(0)
        running = [(turn.letter.task_id, turn.key) for turn in self.turns if turn.runs and turn.worker.host == host]
        return HostSeen(at=self.now, host=host, running=tuple(running), interval=HEARTBEAT)

    def send_again(self, task_id: str) -> None:
        """The application sends a message of the same id, as people do to run a job once."""
        self.queue.append(Letter(task_id, message=f"m{len(self.turns) + len(self.queue) + 1}"))

    # What is so

    def live(self, worker: Worker | None = None) -> list[Turn]:
        """Turns that wait or run, on a worker or on all."""
        return [turn for turn in self.turns if not turn.over and worker in {None, turn.worker}]

    def latest(self) -> dict[str, Turn]:
        """The liveliest turn of each task that any worker had: it runs, waits, or is the one that ended last."""
        return {turn.letter.task_id: turn for turn in sorted(self.turns, key=self._liveliness)}

    def _liveliness(self, turn: Turn) -> tuple[int, datetime, tuple[int, datetime]]:
        over = turn.finished_at is not None and turn.status != "pending"
        life = 3 if turn.runs else 1 if over else 0 if self._came_again(turn) else 2
        return life, turn.finished_at or START if over else START, turn.place

    def _came_again(self, turn: Turn) -> bool:
        """Whether what waits, was given back, or is gone with its worker, has been delivered since."""
        others = [other for other in self.turns if other.letter.task_id == turn.letter.task_id]
        if turn.finished_at is not None:
            return any(other.place > turn.place for other in others)
        same = [other for other in others if other.letter.message == turn.letter.message and other.letter.again]
        return any(other.received_at > turn.received_at for other in same)

    def attempts(self) -> dict[tuple[str, str], Turn]:
        """The turns that were started, by task id and run."""
        return {(turn.letter.task_id, turn.key): turn for turn in self.turns if turn.started_at is not None}

    def _end(self, turn: Turn, status: Status, outcome: Outcome, error: str | None) -> None:
        self.wait(0)
        turn.over, turn.status, turn.outcome, turn.error, turn.finished_at = True, status, outcome, error, self.now

    def _return(self, turn: Turn) -> None:
        self.queue.append(dataclasses.replace(turn.letter, again=True))

    def _heading(self, turn: Turn) -> _Heading:
        return _Heading(
            at=self.now,
            host=turn.worker.host,
            task_id=turn.letter.task_id,
            run=turn.key,
            celery_name="shop.orders.charge",
            name="charge",
            worker=f"{turn.worker.name}@{turn.worker.host}",
            retries=turn.letter.retries,
            delivery=turn.delivery,
        )
