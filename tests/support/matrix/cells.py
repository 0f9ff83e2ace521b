"""What is tried, what came of it, and whether the record and reality agree: pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from support.eventually import HANGS


@dataclass(frozen=True)
class Pool:
    """What a pool can do: all that the matrix, and the contract test of pools, has to know of it."""

    name: str
    #: Whether all of its tasks share the worker's process.
    shares: bool = True
    #: Whether one of its tasks can be ended while the others run on.
    ends_one: bool = False
    #: Tasks that its worker runs at once.
    slots: int = 10


ALL_POOLS = (
    Pool("prefork", shares=False, ends_one=True),
    Pool("gevent", ends_one=True),
    Pool("eventlet", ends_one=True),
    Pool("threads"),
    Pool("solo", slots=1),
)
#: By their names: all, those that can end one task, and those whose tasks share a process; how many run at once.
POOLS = tuple(pool.name for pool in ALL_POOLS)
KILLING = frozenset(pool.name for pool in ALL_POOLS if pool.ends_one)
SHARING = frozenset(pool.name for pool in ALL_POOLS if pool.shares)
SLOTS = {pool.name: pool.slots for pool in ALL_POOLS}
#: Seconds that each running task takes if nobody ends it.
LASTS = 5.0
#: The same for what keeps the only slot of a worker while others are cancelled that wait, also on a busy machine.
LASTS_ALONE = 15.0
#: The same, for what keeps its worker from answering in time.
LONG = 7.0

DOWN, QUEUED, PREFETCHED = "queued, no worker up", "queued", "prefetched"
LATER, RETRY = "for later (ETA)", "waits for its retry"
RUNNING, STOPPED = "running", "running, worker stopped"


@dataclass(frozen=True)
class Kind:
    """A kind of stubbornness: which task, and in which pools it makes sense."""

    words: str
    task: str
    arguments: dict[str, Any] = field(default_factory=dict, hash=False)
    pools: frozenset[str] = frozenset(POOLS)
    #: Whether it keeps everything else in a worker of greenlets from running, so that it is tried last.
    alone: bool = False


PLAIN = Kind("sleeps", "plain")
KINDS = (
    PLAIN,
    Kind("slow `finally`", "tidies", pools=KILLING),
    Kind("swallows the exit", "clings", {"seconds": HANGS}, pools=KILLING),
    Kind("ignores TERM", "ignores", pools=frozenset({"prefork"})),
    Kind("runs a program", "launches", pools=KILLING),
    Kind("runs a program in its own session", "launches", {"detached": True}, pools=KILLING),
    Kind("leaves a daemon", "forsakes", pools=frozenset({"prefork"})),
    Kind("its process is stopped", "freezes", pools=frozenset({"prefork"})),
    Kind("one long C call", "calls", {"seconds": LONG}, pools=frozenset({"prefork", "gevent", "threads"}), alone=True),
    Kind("a C call that stops all threads", "holds", {"seconds": LONG}, alone=True),
)


def running(pool: str, kinds: tuple[Kind, ...] = KINDS) -> Iterator[Kind]:
    """The kinds that are tried in a pool."""
    return (kind for kind in kinds if pool in kind.pools)


@dataclass
class Cell:
    """One try, and what came of it."""

    broker: str
    pool: str
    state: str
    kind: Kind
    task_id: str = ""
    http: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    #: Seconds from the request to its answer.
    took: float = 0.0
    #: Pids of its own that could still do something when the answer came, and at the end.
    alive_then: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    #: The record's row at the end; empty while it knows nothing.
    row: dict[str, Any] = field(default_factory=dict)
    #: What the task wrote down.
    diary: list[str] = field(default_factory=list)

    @property
    def starts(self) -> int:
        """How often it ran."""
        return sum(line.startswith("started") for line in self.diary)

    @property
    def completed(self) -> bool:
        """Whether it came to its end."""
        return any(line.startswith("completed") for line in self.diary)

    def pids(self, step: str) -> list[int]:
        """The processes of a step of its diary."""
        return [int(line.split()[1]) for line in self.diary if line.startswith(step)]

    @property
    def own(self) -> list[int]:
        """The processes that a cancel has to end: neither the worker's, nor that of an attempt that has ended."""
        own = [] if self.pool in SHARING or self.state == RETRY else self.pids("started")
        return own + self.pids("program")

    def unsaid(self, alive: list[int]) -> bool:
        """Whether one of these is alive that the answer does not name."""
        return any(str(pid) not in self.answer.get("detail", "") for pid in alive)


STATES = (RUNNING, STOPPED, RETRY, LATER, PREFETCHED, QUEUED, DOWN)
#: States in which nothing of a task has run yet.
UNTOUCHED = frozenset({DOWN, QUEUED, PREFETCHED, LATER})


def faults(cell: Cell) -> list[str]:
    """Where the answer or the record says something else than what happened."""
    ended, cancelled = cell.row.get("status"), cell.row.get("outcome") == "cancelled"
    found = {
        "answered as cancelled, and completed": cell.http == 200 and cell.completed,
        "answered as cancelled while it lived": cell.http == 200 and cell.unsaid(cell.alive_then),
        "recorded as cancelled, and completed": cancelled and cell.completed,
        "recorded as cancelled, and lives": cancelled and cell.unsaid(cell.alive),
        "recorded as completed, and never was": ended == "completed" and not cell.completed,
        "completed, and not recorded as that": cell.completed and ended != "completed",
        "ran although it was cancelled": cell.state in UNTOUCHED and cell.starts > 0,
        "ran again": cell.starts > 1,
        "never ended in the record": ended not in {"completed", "failed"},
        "failed, and not because it was cancelled": ended == "failed" and not cancelled,
        "the record is not sure": not cell.row.get("confirmed", False),
    }
    return [words for words, true in found.items() if true]
