"""Part `intake`: events of tasks into the record, in a burst and at an even pace."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg  # type: ignore[import-untyped]

from bench.figures import Spread
from bench.load.tasks import a_task
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems.broker import address
from bench.systems.flower import Flower, flower
from bench.systems.loads import Load, run_load
from bench.systems.signalbox import Signalbox, signalbox
from bench.systems.usage import Usage, by_group, cpu_between
from bench.systems.waiting import reach
from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.publisher import EventEntry, publish_entries
from signalbox.local.places import AGENTS, run_folder
from signalbox.messages.codec import encode

ROWS = (
    Row("burst", "burst: events recorded a second", "/s", Target(30_000, at_least=True), more_is_better=True),
    Row("burst_lost", "burst: events lost", "%", Target(0.0)),
    Row("burst_cpu", "burst: CPU of all processes for 100,000 events", "s", Target(6.0)),
    Row("paced_lost", "paced: events lost", "%", Target(0.0)),
    Row("paced_cpu", "paced: CPU of all processes for 100,000 events", "s", Target(8.0)),
    Row("alone", "reconciler alone, events that wait: recorded a second", "/s", more_is_better=True),
    Row("alone_cpu", "reconciler alone: its CPU for 100,000 events", "s"),
)
_METHOD = """\
A process tells of tasks that are received, start and succeed, as a worker with quick tasks would: to the controller
with the agent's own code, and to Flower with Celery's own event dispatcher. Signalbox' events are counted as rows of
completed tasks in PostgreSQL, those of Flower by its own metrics; what has not come ten seconds after the one before it
is lost. The CPU is that of all processes of the side: the one that tells, controller, reconciler, api and PostgreSQL,
or Flower; and Redis. "Alone" publishes to the bus while the reconciler is stopped, and starts it then."""
#: Seconds without one more event after which the rest is lost.
_GIVEN_UP = 10.0
#: Events of a task.
_EVENTS = 3
#: Events in one publication.
_CHUNK = 1000
_COUNT = "SELECT count(*) FROM tasks WHERE name = $1 AND status = 'completed'"


@dataclass(frozen=True)
class Intake:
    """What came of one load."""

    sent: int
    counted: int
    #: From its first event to the last that was counted.
    seconds: float
    #: Seconds on a CPU, by process.
    cpu: Mapping[str, float]

    @property
    def rate(self) -> float:
        """Events recorded a second."""
        return self.counted / self.seconds

    @property
    def lost(self) -> float:
        """Percent of the events."""
        return 100 * (self.sent - self.counted) / self.sent

    @property
    def cost(self) -> float:
        """Seconds on a CPU for 100,000 events that were recorded."""
        return sum(self.cpu.values()) / max(1, self.counted) * 100_000


@dataclass(frozen=True)
class Side:
    """Who takes in events."""

    #: The usage of its processes so far.
    used: Callable[[], Mapping[str, Usage]]
    #: Tell of so many tasks of this name at this rate.
    load: Callable[[int, float, str], Awaitable[Load]]
    #: The events of tasks of this name that it has recorded.
    counted: Callable[[str], Awaitable[int]]
    #: Wait until it has probably read everything; counting costs it, too.
    has_read: Callable[[], Awaitable[object]]

    async def take(self, tasks: int, rate: float, name: str) -> Intake:
        """Have it take in a load, and count."""
        before = self.used()
        load = await self.load(tasks, rate, name)
        await self.has_read()
        counted, at = await self._count(tasks * _EVENTS, name)
        cpu = {**cpu_between(before, self.used()), "the load": load.cpu}
        return Intake(tasks * _EVENTS, counted, max(at, load.ended) - load.began, cpu)

    async def _count(self, wanted: int, name: str) -> tuple[int, float]:
        """How many came, and when the last one was seen."""
        counted, at = await self.counted(name), time.time()
        while counted < wanted and time.time() < at + _GIVEN_UP:
            await asyncio.sleep(0.1)
            if (now := await self.counted(name)) > counted:
                counted, at = now, time.time()
        return counted, at


def ours(system: Signalbox, record: asyncpg.Connection) -> Side:
    """Signalbox."""
    socket = run_folder(system.run.plan.data) / AGENTS

    async def load(tasks: int, rate: float, name: str) -> Load:
        return await run_load("agent", socket, tasks, rate, name)

    async def counted(name: str) -> int:
        return _EVENTS * int(await record.fetchval(_COUNT, name))

    return Side(lambda: by_group(system.groups()), load, counted, lambda: nothing_waits(system))


def theirs(system: Signalbox, other: Flower, broker: str) -> Side:
    """Flower."""
    groups = {"Flower": [other.pid], "Redis": system.groups()["Redis"]}

    async def load(tasks: int, rate: float, name: str) -> Load:
        return await run_load("celery_events", tasks, rate, name, _EVENTS, BENCH_BROKER=broker)

    async def counted(name: str) -> int:
        return await other.events_of(f"bench_app.{name}")

    async def has_read() -> None:
        return

    return Side(lambda: by_group(groups), load, counted, has_read)


async def nothing_waits(system: Signalbox, within: float = 120.0) -> None:
    """Wait until every event on the bus is acknowledged."""
    redis = connect(system.valkey.url)

    async def look() -> bool:
        groups = await redis.xinfo_groups(names.EVENTS)
        return bool(groups) and not groups[0]["pending"] and not groups[0]["lag"]

    try:
        await reach("all events are recorded", look, within=within, pause=0.01)
    finally:
        await redis.aclose()


@asynccontextmanager
async def sides(session: Session, system: Signalbox) -> AsyncIterator[list[Side]]:
    """Ours, and Flower if it is measured."""
    async with AsyncExitStack() as stack:
        record = await asyncpg.connect(system.postgres.url, timeout=10.0)
        stack.push_async_callback(record.close)
        found = [ours(system, record)]
        if session.flower:
            broker = address(system.valkey, "flower")
            other = await stack.enter_async_context(flower(session.flower, broker, session.folder))
            found.append(theirs(system, other, broker))
        yield found


async def alone(system: Signalbox, tasks: int) -> tuple[float, float]:
    """Events that the reconciler records a second when it starts, and its CPU for 100,000 of them, in seconds."""
    reconciler = system.run.services["reconciler"]
    await reconciler.stop()
    redis = connect(system.valkey.url)
    events = [encode(event) for number in range(tasks) for event in a_task(number)]
    try:
        for begin in range(0, len(events), _CHUNK):
            await publish_entries(redis, map(EventEntry, events[begin : begin + _CHUNK]))
        reconciler.start()
        waiting = len(events)

        async def reads() -> float | None:
            groups = await redis.xinfo_groups(names.EVENTS)
            left = (groups[0]["lag"] or 0) + groups[0]["pending"]
            return time.monotonic() if left < waiting or groups[0]["pending"] else None

        began = await reach("the reconciler reads", reads, pause=0.002)
        groups = {"reconciler": system.groups()["reconciler"]}
        before = by_group(groups)
        await nothing_waits(system)
        used = cpu_between(before, by_group(groups))["reconciler"]
        return len(events) / (time.monotonic() - began), used / len(events) * 100_000
    finally:
        await redis.aclose()


async def measure(session: Session, measurements: Measurements) -> None:
    """Bursts in turns, then paced loads in turns, then the reconciler alone."""
    options = session.options
    tasks, paced = max(1, options.burst // _EVENTS), max(1, round(options.rate * options.seconds))
    async with signalbox(session.folder) as system:
        async with sides(session, system) as both:
            for side in both:
                await side.take(min(tasks, 100), 0.0, "warm_up")
            bursts = await _in_turns(session, both, "burst", tasks, 0.0)
            _report(measurements, "burst", bursts)
            loads = await _in_turns(session, both, "paced", paced, float(options.rate))
            _report(measurements, "paced", loads)
        session.say("the reconciler alone")
        rate, cpu = await alone(system, tasks)
        measurements.put("alone", [rate])
        measurements.put("alone_cpu", [cpu])


async def _in_turns(session: Session, both: Sequence[Side], what: str, tasks: int, rate: float) -> list[list[Intake]]:
    found: list[list[Intake]] = [[] for _ in both]
    for number in range(session.options.rounds):
        session.say(f"{what}, round {number + 1} of {session.options.rounds}")
        places = range(len(both))
        for place in places if number % 2 else reversed(places):
            found[place].append(await both[place].take(tasks, rate, f"{what}_{number}"))
    return found


def _report(measurements: Measurements, what: str, found: Sequence[Sequence[Intake]]) -> None:
    mine, flowers = found[0], found[1] if len(found) > 1 else []
    sent = f"{sum(one.sent - one.counted for one in mine):,} of {sum(one.sent for one in mine):,}"
    theirs_sent = f"{sum(one.sent - one.counted for one in flowers):,} of {sum(one.sent for one in flowers):,}"
    if what == "burst":
        measurements.put("burst", [one.rate for one in mine], [one.rate for one in flowers])
    lost = f"Signalbox {sent}" + (f", Flower {theirs_sent}" if flowers else "")
    measurements.put(f"{what}_lost", [one.lost for one in mine], [one.lost for one in flowers], lost)
    parts = [f"{part} {_median(mine, part):.1f}" for part in mine[0].cpu]
    if flowers:
        parts += [f"of Flower's: {', '.join(f'{part} {_median(flowers, part):.1f}' for part in flowers[0].cpu)}"]
    measurements.put(f"{what}_cpu", [one.cost for one in mine], [one.cost for one in flowers], "; ".join(parts))


def _median(found: Sequence[Intake], part: str) -> float:
    """Seconds on a CPU of a process for 100,000 events."""
    spread = Spread.of([one.cpu[part] / max(1, one.counted) * 100_000 for one in found])
    return spread.median if spread else 0.0


PART = Part(
    name="intake",
    what="Intake of events",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=300.0,
)
