"""Runs of tasks: those that wait or run in this worker, and those that ended lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any, TypeVar

from signalbox_agent.tasks.privacy import hides_arguments

V = TypeVar("V")

#: Ended runs that are remembered, so that a late cancel gets a true answer.
FINISHED = 10_000
#: Refused ids that are remembered: twice as many as Signalbox itself remembers, for each may be renewed.
REFUSED = 200_000


def run_key(retries: int, since: float | None = None, instance: str = "", pid: int = 0) -> str:
    """The key that orders the runs of a task; its parts are compared as numbers."""
    if since is None:
        return f"{retries:04d}"
    key = f"{retries:04d}.{int(since * 1000):013d}"
    return f"{key}.{instance[:8]}.{pid}" if pid else key


def delivery_key(retries: int, at: float, instance: str, mark: str) -> str:
    """The key of one delivery, which waits; `mark` tells it from all others of its worker."""
    return f"{retries:04d}.{int(at * 1000):013d}.{instance[:8]}.{mark}"


@lru_cache(maxsize=1_000)
def _kind(celery_name: str, name: str, worker: str, queue: str) -> str:
    """The fields that most tasks of a worker have in common."""
    return f'"celery_name":{quote(celery_name)},"name":{quote(name)},"worker":{quote(worker)},"queue":{quote(queue)}'


@dataclass(slots=True, eq=False)
class Run:
    """One delivery of one task, and the run that it becomes, as its worker sees it."""

    request: Any
    #: The key of its id: see `tasks.ids`.
    task_id: str
    celery_name: str
    name: str
    retries: int = 0
    #: See `delivery_key`.
    delivery: str = ""
    key: str = field(init=False)
    #: The whole id, where that is not its key.
    full_id: str = ""
    #: The fields that all its events have, and those of the arguments; JSON without the braces.
    identity: str = ""
    arguments: str = ""
    #: Epoch, in seconds.
    started_at: float | None = None
    pid: int | None = None
    #: When the worker took it from its queue.
    taken_at: float = 0.0
    #: Whether it is acknowledged only when it is over.
    acks_late: bool = False
    #: Whether its task has a strategy of its own, by which it may be run in ways that are not Celery's.
    own_strategy: bool = False
    #: The number of tasks in the job of the pool that such a strategy made, while that runs.
    together: int = 0
    #: Whether TaskReceived was sent.
    received: bool = False
    #: How many processes it has left running, as its child has seen at its end.
    left_processes: int = 0
    #: Whether its id was refused already when it came.
    came_late: bool = False
    #: Whether its final event was sent.
    over: bool = False
    #: The latest kill.
    kill: Any = None
    #: Cancels that came between the hand-over to the pool and the start: (command id, grace).
    pending_cancels: list[tuple[str | None, float]] = field(default_factory=list)
    #: The commands that asked for its end, and have no answer about it yet.
    asked_by: set[str] = field(default_factory=set)
    #: The run of an earlier delivery of its message, which it must not run beside; and those of later deliveries.
    original: Run | None = None
    duplicates: list[Run] = field(default_factory=list)
    #: The events that Celery sends of it; None while they are not noted.
    announced: list[tuple[str, dict[str, Any]]] | None = None

    def __post_init__(self) -> None:
        self.key = self.delivery or run_key(self.retries)

    @property
    def killing(self) -> bool:
        """Whether a kill is under way: a signal was sent, and the last word not spoken."""
        return self.kill is not None and self.kill.begun and not self.kill.over

    def describe(self, worker: str, queue: str, args: str, kwargs: str) -> None:
        """Fill in what its events tell."""
        kind = _kind(self.celery_name, self.name, worker, queue)
        delivery = f'"delivery":"{self.delivery}",' if self.delivery else ""
        full = f'"full_id":{quote(self.full_id)},' if self.full_id else ""
        self.identity = f'"task_id":{quote(self.task_id)},{full}{delivery}"retries":{self.retries},{kind}'
        args, kwargs = ("", "") if hides_arguments() else (args, kwargs)
        self.arguments = f'"args":{quote(args)},"kwargs":{quote(kwargs)}'

    def begin(self, started_at: float, pid: int, instance: str) -> None:
        """A child accepted it."""
        self.started_at = started_at
        self.pid = pid
        self.key = run_key(self.retries, started_at, instance, pid)


class Recent(OrderedDict[str, V]):
    """A dictionary that forgets its oldest entry when it is full."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: str, value: V) -> None:
        if key in self:
            self.move_to_end(key)
        super().__setitem__(key, value)
        if len(self) > self._limit:
            self.popitem(last=False)


class Runs:
    """All runs of this worker; a task can have several at once, as its id was sent or delivered more than once."""

    def __init__(self) -> None:
        self._live: dict[str, list[Run]] = {}
        #: Called before anybody looks for runs: works off what is noted of them.
        self.settle: Callable[[], object] = lambda: None
        #: Called for a message that was delivered once more, when the run that it was about is over.
        self.on_duplicate_over: Callable[[Any, bool], None] = lambda *_: None
        #: The states of tasks that ended here: the answer to a late cancel, without its command id.
        self.ended: Recent[dict[str, Any]] = Recent(FINISHED)
        #: The ids that Signalbox refuses here, with the command that asked for it.
        self.refused: Recent[str | None] = Recent(REFUSED)

    def add(self, run: Run) -> None:
        """It waits here."""
        self._live.setdefault(run.task_id, []).append(run)

    def end(self, run: Run, answer: dict[str, Any] | None) -> None:
        """Its final event is sent now; `answer` is for late cancels, None when it gave its task back."""
        run.over = True
        if answer is not None:
            self.ended[run.task_id] = answer
        self.remove(run, again=answer is None)

    def remove(self, run: Run, *, again: bool = False) -> None:
        """It is over, or Celery has forgotten it; `again` tells that it gave its task back."""
        runs = self._live.get(run.task_id, [])
        if run in runs:
            runs.remove(run)
        if not runs:
            self._live.pop(run.task_id, None)
        run.request = None  # they refer to each other; memory should not have to wait for the garbage collector
        duplicates, run.duplicates = run.duplicates, []
        for duplicate in duplicates:
            if duplicate.request is not None:
                request = duplicate.request
                duplicate.over = True
                self.remove(duplicate)
                self.on_duplicate_over(request, again)

    def of(self, task_id: str) -> list[Run]:
        """The runs of one task, without redelivered ones, which only wait for the end of the original."""
        self.settle()
        return [run for run in self._live.get(task_id, ()) if run.original is None]

    def original_of(self, task_id: str, retries: int) -> Run | None:
        """The run that a redelivered message is about, as Redis hands it out again when a connection was lost.

        The message is not run beside it: it waits for its end, and is acknowledged then. Until then the broker keeps
        the message, so that the task is not lost should we die.
        """
        live = (run for run in self.of(task_id) if run.started_at is not None and not run.over)
        return next((run for run in live if run.retries == retries), None)

    def begin(self, run: Run, started_at: float, pid: int, instance: str) -> None:
        """A child accepted it; greenlets that begin in the same millisecond share a pid, and must not share a key."""
        run.begin(started_at, pid, instance)
        live = self._live.get(run.task_id, ())
        others = [other for other in live if other is not run] if len(live) > 1 else ()
        while others and any(other.key == run.key for other in others):
            started_at += 0.001
            run.begin(started_at, pid, instance)

    def has(self, task_id: str) -> bool:
        """Whether there is one of this task."""
        self.settle()
        return task_id in self._live

    def all(self) -> list[Run]:
        """Every one."""
        self.settle()
        return [run for runs in self._live.values() for run in runs]

    def forget_waiting(self, handed: Callable[[Run], bool] = lambda _: False) -> None:
        """Celery drops what waits when it loses its broker, which will deliver it anew.

        It forgets what it has `handed` to a child as well, but the child may run that.
        """
        for run in self.all():
            if run.started_at is None and not handed(run):
                self.remove(run)
