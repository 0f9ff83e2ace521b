"""Part `cancel`: from the request to death, to the answer, and to what a person sees."""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.figures import percentile
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems import application
from bench.systems.broker import Running, Tasks, address, tasks_of
from bench.systems.flower import flower
from bench.systems.live import live
from bench.systems.signalbox import signalbox
from bench.systems.waiting import PATIENCE

#: Of each worker: Celery replaces those that were killed every five seconds.
CHILDREN = 8
#: Seconds for that, after each cancel.
_CALM = 0.5
ROWS = (
    Row("death", "dead after the request, p50", "ms", Target(0.9, of_ratio=True)),
    Row("death99", "dead after the request, p99", "ms"),
    Row("answer", "answer after the request, p50", "ms", Target(10.0)),
    Row("answer99", "answer after the request, p99", "ms"),
    Row("tail", "answer, p99 divided by p50", "×", Target(2.5)),
    Row("shown", "shown as cancelled after the request, p50", "ms"),
    Row("early", "shown as cancelled before it was dead", "%", Target(0.0)),
    Row("next", "from death to the start of the next task, p50", "ms"),
)
_METHOD = """\
A prefork worker with eight children on each side, which sleep, and a task that waits behind them. Death is what the
kernel says of the child's process (pidfd). Signalbox answers when the proof is committed, and pushes the change by
websocket; Flower answers when it has sent the request to the worker, and its api is then asked for the state REVOKED.
The cancels alternate, and so does the side that goes first; each waits up to half a second for the place to be taken,
as a worker that forks is slower at everything else."""


@dataclass(frozen=True)
class Cancel:
    """One cancel; milliseconds from the request."""

    death: float
    answer: float
    shown: float

    @property
    def early(self) -> bool:
        """Whether it was shown before it was so."""
        return self.shown < self.death


@dataclass
class Side:
    """What cancels, and what is cancelled."""

    tasks: Tasks
    #: Wait until the task is shown as running.
    shows_running: Callable[[str], Awaitable[None]]
    #: Ask for the end of a task, and wait for the answer.
    cancel: Callable[[str], Awaitable[None]]
    #: Wait until it is shown as cancelled; the time, on the clock of `perf_counter`.
    shown: Callable[[str], Awaitable[float]]
    #: Tasks that run, and were not cancelled.
    sleeping: deque[Running] = field(default_factory=deque)
    #: When tasks died that nobody has taken the place of; epoch, in seconds.
    deaths: deque[float] = field(default_factory=deque)
    #: Milliseconds from a death to the start of the task that takes the place.
    replaced: list[float] = field(default_factory=list)

    async def fill(self) -> None:
        """Have every child sleep, and a task wait."""
        await self.tasks.send(*["hang"] * (CHILDREN + 1))
        for _ in range(CHILDREN):
            self.sleeping.append(await self.tasks.running())

    async def measure(self) -> Cancel:
        """Cancel a task that runs; another one waits for its place."""
        task = await self._next()
        await self.shows_running(task.task_id)
        await self.tasks.send("hang")
        death = asyncio.get_running_loop().create_future()
        descriptor = _watch(task.pid, death)
        shown = asyncio.ensure_future(self.shown(task.task_id))
        try:
            began = time.perf_counter()
            await self.cancel(task.task_id)
            answered = time.perf_counter()
            async with asyncio.timeout(PATIENCE):
                died, died_at = await death
                seen = await shown
        finally:
            shown.cancel()
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self.deaths.append(died_at)
        await self._calm()
        return Cancel(*((moment - began) * 1000 for moment in (died, answered, seen)))

    async def _next(self) -> Running:
        """A task that sleeps; if there is none, the one that takes a place next."""
        if not self.sleeping:
            self._replace(await self.tasks.running())
        return self.sleeping.popleft()

    async def _calm(self) -> None:
        """Wait for the places to be taken, for a while: the worker should not make a child during the next cancel."""
        end = time.monotonic() + _CALM
        while self.deaths and time.monotonic() < end:
            if started := await self.tasks.running_already():
                self._replace(started)
            else:
                await asyncio.sleep(0.005)

    def _replace(self, started: Running) -> None:
        self.sleeping.append(started)
        if self.deaths:
            self.replaced.append((started.started_at - self.deaths.popleft()) * 1000)


def _watch(pid: int, death: "asyncio.Future[tuple[float, float]]") -> int:
    """Set the future to when the process ended, on `perf_counter` and as epoch; the descriptor that tells."""
    descriptor = os.pidfd_open(pid)

    def ended() -> None:
        if not death.done():
            death.set_result((time.perf_counter(), time.time()))

    asyncio.get_running_loop().add_reader(descriptor, ended)
    return descriptor


@asynccontextmanager
async def sides(session: Session) -> AsyncIterator[list[Side]]:
    """Ours, and Flower's if it is measured."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(signalbox(session.folder, concurrency=CHILDREN))
        senders = list(await stack.enter_async_context(tasks_of(ours.valkey, "signalbox", "flower")))
        changes = await stack.enter_async_context(live(ours))
        found = [Side(senders[0], ours.shows_running, ours.cancel, changes.failed)]
        if session.flower:
            broker = address(ours.valkey, "flower")
            theirs = await stack.enter_async_context(flower(session.flower, broker, session.folder))
            place = session.folder / "application"
            await stack.enter_async_context(
                application.a_worker("flower", place, broker, ours.valkey.url, "-E", concurrency=CHILDREN)
            )

            async def running(task_id: str) -> None:
                await theirs.shows(task_id, "STARTED")

            answered = asyncio.Event()

            async def revoke(task_id: str) -> None:
                await theirs.revoke(task_id)
                answered.set()

            async def revoked(task_id: str) -> float:
                await answered.wait()  # it must not be asked while it works at the request
                answered.clear()
                await theirs.shows(task_id, "REVOKED", pause=0.002)
                return time.perf_counter()

            found.append(Side(senders[1], running, revoke, revoked))
        yield found


async def measure(session: Session, measurements: Measurements) -> None:
    """Cancel in turns."""
    options = session.options
    async with sides(session) as both:
        for side in both:
            await side.fill()
            await side.measure()  # what was never done before is slow
        rounds: list[list[list[Cancel]]] = [[] for _ in both]
        replaced: list[list[float]] = [[] for _ in both]
        for number in range(options.rounds):
            session.say(f"round {number + 1} of {options.rounds}")
            for of_side in rounds:
                of_side.append([])
            for turn in range(options.cancels):
                order = range(len(both))
                for place in order if turn % 2 else reversed(order):
                    rounds[place][-1].append(await both[place].measure())
            for side, medians in zip(both, replaced, strict=True):
                if side.replaced:
                    medians.append(percentile(side.replaced, 50))
                side.replaced.clear()
            _report(measurements, rounds)
            measurements.put("next", replaced[0], replaced[-1] if session.flower else ())


def _report(measurements: Measurements, rounds: Sequence[Sequence[Sequence[Cancel]]]) -> None:
    figures: dict[str, Callable[[Sequence[Cancel]], float]] = {
        "death": lambda cancels: percentile([one.death for one in cancels], 50),
        "death99": lambda cancels: percentile([one.death for one in cancels], 99),
        "answer": lambda cancels: percentile([one.answer for one in cancels], 50),
        "answer99": lambda cancels: percentile([one.answer for one in cancels], 99),
        "tail": lambda cancels: (
            percentile([one.answer for one in cancels], 99) / percentile([one.answer for one in cancels], 50)
        ),
        "shown": lambda cancels: percentile([one.shown for one in cancels], 50),
        "early": lambda cancels: 100 * sum(one.early for one in cancels) / len(cancels),
    }
    ours, theirs = rounds[0], rounds[1] if len(rounds) > 1 else []
    before = sum(one.answer < one.death for cancels in ours for one in cancels)
    notes = {
        "answer": f"{before} of {sum(map(len, ours))} answers came before death; Flower's says only that it was sent",
        "shown": "pushed by Signalbox; Flower's api is asked every 2 ms from its answer on",
    }
    for key, figure in figures.items():
        # Flower's answer is no proof, so its tail compares nothing.
        flower_figures = [] if key == "tail" else [figure(cancels) for cancels in theirs]
        measurements.put(key, [figure(cancels) for cancels in ours], flower_figures, notes.get(key, ""))


PART = Part(
    name="cancel",
    what="Cancel of a running task",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=240.0,
)
