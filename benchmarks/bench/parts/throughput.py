"""Part `throughput`: what it costs a worker to be watched."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.figures import Spread
from bench.rows import Measurements, Row
from bench.session import Part, Session
from bench.systems import application
from bench.systems.broker import Tasks, address, tasks_of
from bench.systems.signalbox import signalbox
from bench.systems.usage import by_group, cpu_between
from bench.table import spread_text

ROWS = (
    Row("rate", "empty tasks a second", "/s", more_is_better=True),
    Row("share", "the same, divided by that of a worker that nobody watches", "×", more_is_better=True),
    Row("worker", "CPU of the worker for a task", "µs"),
    Row("all", "CPU of worker, Redis and controller for a task", "µs"),
)
_METHOD = """\
Three prefork workers with one child: one that nobody watches, one with Celery's own events (`-E`, what Flower needs;
in Flower's column, though Flower itself does not run), and one with the agent below a controller. The child is held
until all tasks wait in the queue. They are measured in turns, and the one that goes first changes. The controller runs
on the same machine, as it does on every host; api and reconciler do not."""
_WORKER = "worker"
#: Seconds that what follows a round may take: the last events of one must not be sent while another is measured.
_PAUSE = 0.3


@dataclass
class Watched:
    """One of the workers."""

    tasks: Tasks
    #: The pids of the parts, by name.
    groups: Mapping[str, list[int]]
    rates: list[float] = field(default_factory=list)
    #: CPU for a task in microseconds, by the name of the part.
    costs: list[dict[str, float]] = field(default_factory=list)

    async def measure(self, count: int) -> None:
        """Time so many empty tasks."""
        await self.tasks.hold()
        await self.tasks.send(*["empty"] * count, "stamp")
        before = by_group(self.groups)
        await self.tasks.release()
        begin, end = await self.tasks.times()
        used = cpu_between(before, by_group(self.groups))
        self.rates.append(count / (end - begin))
        self.costs.append({part: seconds / count * 1e6 for part, seconds in used.items()})

    def total(self) -> list[float]:
        """CPU of all parts for a task in each round, in microseconds."""
        return [sum(cost.values()) for cost in self.costs]

    def worker(self) -> list[float]:
        """The same of the worker alone."""
        return [cost[_WORKER] for cost in self.costs]


@asynccontextmanager
async def workers(session: Session) -> AsyncIterator[list[Watched]]:
    """The bare one, the one with Celery's events, and the one with the agent."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(signalbox(session.folder))
        bare, events, agent = await stack.enter_async_context(tasks_of(ours.valkey, "bare", "events", "signalbox"))
        [worker] = await ours.workers()
        for service in ("api", "reconciler"):
            await ours.run.services[service].stop()
        place, notes = session.folder / "application", ours.valkey.url
        redis = {"Redis": ours.groups()["Redis"]}
        found = []
        for tasks, options in ((bare, application.QUIET), (events, ("-E", *application.QUIET))):
            broker = address(ours.valkey, tasks.side)
            pid = await stack.enter_async_context(application.a_worker(tasks.side, place, broker, notes, *options))
            found.append(Watched(tasks, {_WORKER: [pid], **redis}))
        [controller] = ours.groups()["controller"]
        found.append(Watched(agent, {_WORKER: [worker], "controller": [controller], **redis}))
        yield found


async def measure(session: Session, measurements: Measurements) -> None:
    """Measure the three in turns; the first round is not counted, as it warms them up."""
    options = session.options
    async with workers(session) as three:
        for number in range(options.rounds + 1):
            session.say(f"round {number} of {options.rounds}" if number else "warming up")
            for place in range(len(three)):
                await three[(place + number) % len(three)].measure(options.tasks)
                await asyncio.sleep(_PAUSE)
            if not number:
                for one in three:
                    one.rates.clear()
                    one.costs.clear()
        _report(measurements, *three)


def _report(measurements: Measurements, bare: Watched, events: Watched, agent: Watched) -> None:
    measurements.put("rate", agent.rates, events.rates, f"not watched: {spread_text(bare.rates)}")
    ours, theirs = (
        [rate / plain for rate, plain in zip(one.rates, bare.rates, strict=True)] for one in (agent, events)
    )
    measurements.put("share", ours, theirs)
    measurements.put("worker", agent.worker(), events.worker(), f"not watched: {spread_text(bare.worker())}")
    controller = Spread.of([cost["controller"] for cost in agent.costs])
    note = f"of which the controller {controller.median:.0f}; " if controller else ""
    measurements.put("all", agent.total(), events.total(), f"{note}not watched: {spread_text(bare.total())}")


PART = Part(
    name="throughput",
    what="Throughput of a worker",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=180.0,
    needs_flower=False,
)
