"""Protocol between an agent and its controller: JSON, one object a line, told apart by `type`.

The agent's side has no msgspec and no types; the two are held together by the integration tests.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.lines import reader
from signalbox.messages.base import Moment, ProcessKind
from signalbox.messages.events import AnyTaskEvent, TaskRan, TaskSucceeded
from signalbox_agent.cancel.pool import Abilities

PROTOCOL = 1

#: How far an agent is with a cancel; all but `signalled` are final.
CancelState = Literal["signalled", "dead", "finished", "dropped", "unknown", "unsupported", "alive"]


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """One line, either way."""


class Children(msgspec.Struct, frozen=True, kw_only=True):
    """The processes of a prefork pool."""

    #: How many take work.
    up: int
    #: How many there should be.
    wanted: int
    #: Seconds after which Celery kills one that is not up; 0 where that is not known.
    within: float = 0.0

    @property
    def none_is_up(self) -> bool:
        """Whether nothing can run in it; an autoscaled pool may want no process."""
        return self.up == 0 < self.wanted


class Hello(Line, frozen=True, kw_only=True):
    """The first line of a connection: which launch this is, and how far it is."""

    instance: str
    pid: int
    kind: ProcessKind
    protocol: int = PROTOCOL
    #: Seconds of the epoch, by the clock of the process, at which CLOCK_MONOTONIC was 0; not sent by older agents.
    clock: float | None = None
    node: str = ""
    pool: str = ""
    #: What the pool can do; an older agent does not send it, and beat has none: see `abilities_of`.
    abilities: Abilities | None = None
    ready: bool = False
    #: Of a prefork pool; an older agent does not send them.
    children: Children | None = None
    #: Whether somebody else than a controller launched it.
    guest: bool = False
    #: The queues that it consumes; none before it does, and from an older agent.
    queues: tuple[str, ...] = ()
    #: What is off as the installed Celery lacks what it needs; one sentence for each feature.
    missing: list[str] = []
    #: Why there is no agent in the process, which works all the same; nothing else comes from it.
    error: str = ""


def abilities_of(hello: Hello) -> Abilities:
    """What the pool can do; for an older agent, which does not send it, derived from the name of its pool."""
    return hello.abilities or Abilities(
        cancels_one=hello.pool not in {"threads", "solo"},
        takes_turns=hello.pool in {"gevent", "eventlet"},
        answers_while_busy=hello.pool == "prefork",
    )


def notice_of(hello: Hello) -> str:
    """What a person should know of a process whose agent is limited, or missing; empty when all is well."""
    if hello.error:
        off = "its tasks are not seen without a watch and cannot be cancelled one by one"
        return f"runs without agent, {off}: {hello.error}"
    return "; ".join(hello.missing)


class Ready(Line, frozen=True, kw_only=True):
    """The worker consumes, or beat ticked for the first time."""

    #: As in Hello.
    children: Children | None = None


class PoolReport(Line, frozen=True, kw_only=True, tag="pool"):
    """The number of processes that are up has changed; sent every second while none is."""

    #: Whether the worker consumes.
    ready: bool
    children: Children


class Tick(Line, frozen=True, kw_only=True):
    """The scheduler of beat has taken a turn."""

    #: Seconds until the next one is due: beat sleeps for as long as its schedule lets it. Agents of an older version
    #: promise nothing.
    due_in: float | None = None


class Queues(Line, frozen=True, kw_only=True):
    """The queues that the worker consumes now; sent whenever they change, as by remote control."""

    names: tuple[str, ...]


class Claim(Line, frozen=True, kw_only=True):
    """A leased beat is about to send an entry of its schedule, and waits for leave to do so."""

    #: Answered with the same number.
    number: int
    #: That of the lease in whose runs it believes.
    fence: int
    entry: str
    #: What it notes as the entry's latest run, in seconds of the epoch.
    at: float
    #: When it asked, in seconds of CLOCK_BOOTTIME; all processes of a host share that clock.
    asked: float
    #: Whether it tells when the entry was sent; agents of an older version do not.
    confirms: bool = False


class Sent(Line, frozen=True, kw_only=True):
    """A leased beat has sent these entries of its schedule, with these as their latest runs."""

    fence: int
    runs: dict[str, float]


class Begin(Line, frozen=True, kw_only=True):
    """The latest runs of a leased beat's entries as it begins; of those never sent, from when on they count."""

    fence: int
    runs: dict[str, float]
    #: The token of the lock that its scheduler has of its own; the next beat need not wait until it expires.
    lock: str = ""


class Waiting(Line, frozen=True, kw_only=True):
    """It has lost its broker, and takes nothing until that is back; what it runs goes on. Or it waits to begin."""

    #: What it waits for, if it is not the broker.
    reason: str = ""


class Stopping(Line, frozen=True, kw_only=True):
    """The process began to shut down."""


class Rejected(Line, frozen=True, kw_only=True):
    """The worker threw away messages that name no task; of one that names its task an event tells."""

    #: How many since its launch.
    nameless: int


class Numbered(Line, frozen=True, kw_only=True, tag="event"):
    """A task event; numbered so that it can be acknowledged, and sent again until it is."""

    seq: int
    event: msgspec.Raw


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a TaskReceived tells that no other event of the run does."""

    #: Seconds of the epoch.
    at: float
    #: The key of the delivery.
    run: str
    eta: Moment | None = None
    root_id: str | None = None
    parent_id: str | None = None


class WholeRun(Line, frozen=True, kw_only=True, tag="run"):
    """A run that began, and ended by itself, since the worker wrote last: its final event, and what comes before it."""

    seq: int
    event: msgspec.Raw
    args: str = ""
    kwargs: str = ""
    acks_late: bool = False
    #: Of a task that the worker took from its queue meanwhile, too.
    received: Receipt | None = None


class SnapshotRun(msgspec.Struct, frozen=True, kw_only=True):
    """One task that a child runs at this moment."""

    task_id: str
    run: str
    #: As in `TaskEvent`.
    delivery: str = ""
    pid: int
    name: str = ""
    celery_name: str = ""
    started_at: datetime | None = None
    acks_late: bool = False


class Snapshot(Line, frozen=True, kw_only=True):
    """All that the worker holds at this moment; repairs what lost events left wrong."""

    running: list[SnapshotRun]
    reserved: list[str] = []


class CancelReport(Line, frozen=True, kw_only=True, tag="cancel"):
    """How far the agent is with a cancel."""

    command_id: str
    task_id: str
    state: CancelState
    pid: int | None = None
    #: The strongest means so far: `TERM`, `KILL` or `GreenletExit`.
    signal: str | None = None
    #: Whether the task shares the worker's process, which lives on.
    shared: bool = False
    #: Pids and start times (in clock ticks) of what descended from the child and may live on.
    strays: list[tuple[int, int]] = []
    #: The names of the cgroups that held what its runs had started; an empty one where that had to be searched for.
    cgroups: list[str] = []
    #: How the task ended, when it is `finished`.
    status: str | None = None
    detail: str | None = None


class Gap(Line, frozen=True, kw_only=True):
    """Events were lost while we were away."""

    lost: int


class MessageOwnership(Line, frozen=True, kw_only=True, tag="custody"):
    """Whether messages that the worker holds stay with it when it dies, and have to be given back by somebody."""

    ours: bool


class Released(Line, frozen=True, kw_only=True):
    """The answer to a stop with a kill: nothing is on its way to or from the broker any more."""


class Pong(Line, frozen=True, kw_only=True):
    """The answer to a ping."""


#: What concerns the process and not its tasks.
ProcessReport = Hello | Ready | PoolReport | Queues | Claim | Sent | Begin | Waiting | Stopping | Rejected
AgentLine = (
    ProcessReport | Tick | Pong | Numbered | WholeRun | Snapshot | CancelReport | Gap | MessageOwnership | Released
)


class Welcome(Line, frozen=True, kw_only=True):
    """The answer to a hello; events above `acked` are to be sent again.

    The ids must never run; where there are many, all but the last of them came before, as Refuse.
    """

    acked: int
    cancelled: list[str]
    #: Whether it is a beat that must hold a lease, and ask before it sends anything.
    leased: bool = False
    #: Whether it takes whole runs; a controller of an older version does not say so.
    takes_runs: bool = True


class Refused(Line, frozen=True, kw_only=True):
    """The answer to the hello of a worker that may not join; it works on, and logs the reason."""

    why: str


class Ack(Line, frozen=True, kw_only=True):
    """Every event up to `seq` is safe; the agent may forget it."""

    seq: int


class Cancel(Line, frozen=True, kw_only=True):
    """End this task; `grace` is the time from TERM to KILL in seconds."""

    command_id: str
    task_id: str
    grace: float


class Refuse(Line, frozen=True, kw_only=True):
    """These must never run, by whomever they were cancelled; a long list comes in several lines."""

    task_ids: list[str]


class Report(Line, frozen=True, kw_only=True):
    """To be answered with a snapshot, now."""


class Allow(Line, frozen=True, kw_only=True):
    """These may run again, although they were cancelled; a long list comes in several lines."""

    task_ids: list[str]


class Stop(Line, frozen=True, kw_only=True):
    """A stop of the worker is under way; TERM, QUIT and KILL come as signals."""

    #: What tasks that end with the worker will have failed of.
    error: str
    #: Whether tasks that are acknowledged late are to run again.
    redeliver: bool
    #: Whether a KILL follows as soon as this is answered.
    kill: bool = False


class Lease(Line, frozen=True, kw_only=True):
    """A beat may run under this fence, after these runs; with fence 0 it must hold back."""

    fence: int
    #: When each entry was last sent by whomever, in seconds of the epoch.
    runs: dict[str, float] = {}
    #: As in Begin, of the beat before it.
    lock: str = ""


class Claimed(Line, frozen=True, kw_only=True):
    """The answer to a claim."""

    number: int
    granted: bool


class Ping(Line, frozen=True, kw_only=True):
    """To be answered with a pong."""


ControllerLine = Welcome | Refused | Ack | Cancel | Refuse | Allow | Report | Stop | Lease | Claimed | Ping

#: Each raises UnreadableMessage: `decode` for what is no line of this protocol, `decode_event` for what is no event.
decode: Callable[[bytes], AgentLine] = reader(msgspec.json.Decoder(AgentLine))
decode_event: Callable[[msgspec.Raw], AnyTaskEvent] = reader(msgspec.json.Decoder(AnyTaskEvent))


def event_of(line: Numbered | WholeRun) -> AnyTaskEvent:
    """The event that a line tells; a TaskRan for a whole run.

    Raises:
        UnreadableMessage: it holds no event, or no whole run.
    """
    event = decode_event(line.event)
    return event if isinstance(line, Numbered) else _ran(line, event)


def _ran(line: WholeRun, end: AnyTaskEvent) -> TaskRan:
    if not isinstance(end, TaskSucceeded) or end.started_at is None or end.pid is None:
        raise UnreadableMessage("a whole run without its start and end")
    fields = {name: getattr(end, name) for name in end.__struct_fields__}
    if (receipt := line.received) is not None:
        fields["received_at"] = datetime.fromtimestamp(receipt.at, UTC)
        fields |= {"eta": receipt.eta, "root_id": receipt.root_id, "parent_id": receipt.parent_id}
    return TaskRan(args=line.args, kwargs=line.kwargs, acks_late=line.acks_late, **fields)
