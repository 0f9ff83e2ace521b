"""Part `lists`: lists, filters and searches of a large record."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count

import httpx

from bench.errors import BenchmarkError
from bench.figures import percentile
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems.broker import address
from bench.systems.flower import Flower, flower
from bench.systems.loads import a_load, run_load
from bench.systems.record import an_api, fill, stores
from bench.systems.waiting import reach
from bench.table import number
from signalbox.messages.base import utc_now
from signalbox_api.record.cursor import Cursor
from support.filled_record import task_id_of

#: Seconds that the slowest list, and the slowest search, may take.
_LIST, _SEARCH = Target(20.0), Target(250.0)
#: Who search at once while lists are timed.
_SEARCHERS = 8
#: What Flower keeps by default; beyond, it forgets the oldest.
_FLOWER_KEEPS = 100_000
#: Events a second at which it is filled; it loses what comes faster.
_FLOWER_RATE = 4_000
_TASKS = "/scheduler/tasks/"
#: An answer of the api that a search took longer than it may.
_TOO_BROAD = httpx.codes.UNPROCESSABLE_ENTITY

#: Asks once, with a number that chooses a value; whether the answer was that a search is too broad.
Ask = Callable[[int], Awaitable[bool]]


@dataclass(frozen=True)
class Api:
    """The api of a filled record."""

    client: httpx.AsyncClient
    rows: int

    async def list(self, **asked: str) -> bool:
        """Ask for a page; whether a search was too broad."""
        answer = await self.client.get(_TASKS, params=asked)
        if "q" in asked and answer.status_code == _TOO_BROAD:
            return True
        answer.raise_for_status()
        return False

    async def get(self, path: str) -> bool:
        """Ask for something else."""
        (await self.client.get(path)).raise_for_status()
        return False

    def some(self, number: int) -> int:
        """The number of a task, another one each time."""
        return number * 7919 % self.rows + 1

    def back(self, number: int) -> str:
        """A place in the list, anywhere in it."""
        return str(Cursor(utc_now() - timedelta(seconds=2 * self.rows) * (number % 97) / 100, "8"))


#: What is asked, and how; each takes a number that chooses a value.
QUESTIONS: Mapping[str, Callable[[Api, int], Awaitable[bool]]] = {
    "newest": lambda api, _: api.list(),
    "a page far back": lambda api, n: api.list(after=api.back(n)),
    "status running": lambda api, _: api.list(status="running"),
    "status failed": lambda api, _: api.list(status="failed"),
    "a common name": lambda api, n: api.list(name=f"task_{n % 31}"),
    "a name of long ago": lambda api, _: api.list(name="retired"),
    "a rare name": lambda api, _: api.list(name="name-rare"),
    "a common host": lambda api, n: api.list(host=f"host-{n % 97}"),
    "a rare host": lambda api, _: api.list(host="host-rare"),
    "a rare queue": lambda api, _: api.list(queue="queue-rare"),
    "a rare outcome": lambda api, _: api.list(outcome="worker_lost"),
    "failed of a name": lambda api, n: api.list(status="failed", name=f"task_{n % 31}"),
    "failed on a rare host": lambda api, _: api.list(status="failed", host="host-rare"),
    "an id": lambda api, n: api.get(f"{_TASKS}{task_id_of(api.some(n))}/"),
    "counts": lambda api, _: api.get("/scheduler/task-counts/"),
    "search: a whole id": lambda api, n: api.list(q=task_id_of(api.some(n))),
    "search: eight of an id": lambda api, n: api.list(q=task_id_of(api.some(n))[:8]),
    "search: a name": lambda api, n: api.list(q=f"task_{n % 31}"),
    "search: an old name": lambda api, _: api.list(q="retire"),
    "search: an argument": lambda api, n: api.list(q=f"order-{api.some(n)}"),
    "search: an error": lambda api, n: api.list(q=f"item {api.some(n) // 20 * 20} in hall"),
    "search: a common error": lambda api, _: api.list(q="no stock"),
    "search: what all have": lambda api, _: api.list(q="EUR"),
    "search: one letter": lambda api, _: api.list(q="c"),
    "search: nothing": lambda api, n: api.list(q=f"no such text {n}"),
}


#: What is timed again while others search.
_BESIDE = ("newest", "a rare host", "an id")


def _row(what: str) -> Row:
    return Row(what, f"{what}, p99", "ms", _SEARCH if what.startswith("search") else _LIST)


ROWS = (
    *map(_row, QUESTIONS),
    *(Row(f"{what} beside", f"{what}, while {_SEARCHERS} others search, p99", "ms", _LIST) for what in _BESIDE),
)
_METHOD = f"""\
An api process on a record that was made inside PostgreSQL; each list has 50 rows, and each question another value each
time. It is asked over HTTP, one at a time, in rounds. Flower's figures are those of its task table with what it keeps
by default, {_FLOWER_KEEPS:,} tasks (fewer where the record has fewer), sorted by the time of receipt; it has no
filters. The remarks have the medians, and how many searches were refused as too broad. The last rows are timed while
{_SEARCHERS} others search for a text that is nowhere."""


async def timed(ask: Ask, numbers: Sequence[int]) -> tuple[list[float], int]:
    """Milliseconds of each answer, and how many searches were too broad."""
    figures, broad = [], 0
    for given in numbers:
        began = time.perf_counter()
        broad += await ask(given)
        figures.append((time.perf_counter() - began) * 1000)
    return figures, broad


@asynccontextmanager
async def a_full_flower(session: Session, broker: str) -> AsyncIterator[Mapping[str, Ask]]:
    """Flower with as many tasks as it keeps; what can be asked of it."""
    if session.flower is None:
        yield {}
        return
    tasks = min(session.options.rows, _FLOWER_KEEPS)
    async with flower(session.flower, broker, session.folder) as other:
        session.say(f"Flower gets {tasks:,} tasks")
        await run_load("celery_events", tasks, _FLOWER_RATE, "task_1", 1, BENCH_BROKER=broker)

        async def full() -> bool:
            return await other.events_of("bench_app.task_1") >= tasks

        await reach("Flower has all tasks", full, pause=0.5)
        yield _asked_of(other, tasks)


def _asked_of(other: Flower, tasks: int) -> Mapping[str, Ask]:
    async def page(start: int = 0, search: str = "") -> bool:
        await other.page(start=start, search=search)
        return False

    return {
        "newest": lambda _: page(),
        "a page far back": lambda n: page(start=max(0, tasks * (n % 97) // 100 - 50)),
        "search: a name": lambda _: page(search="task_1"),
        "search: an argument": lambda _: page(search="order-4711"),
        "search: nothing": lambda n: page(search=f"nosuchtext{n}"),
    }


async def measure(session: Session, measurements: Measurements) -> None:
    """Make the record, then ask in rounds; the first answers of each are not counted."""
    options = session.options
    async with AsyncExitStack() as stack:
        found = await stack.enter_async_context(stores(session.folder))
        await fill(found.postgres, options.rows, session.say)
        client, token = await stack.enter_async_context(an_api(found))
        api = Api(client, options.rows)
        theirs = await stack.enter_async_context(a_full_flower(session, address(found.valkey, "flower")))
        mine = {what: partial(question, api) for what, question in QUESTIONS.items()}
        for what in QUESTIONS:
            await _ask_in_rounds(session, measurements, what, mine[what], theirs.get(what))
        session.say(f"{_SEARCHERS} others search")
        async with a_load("searchers", session.folder, client.base_url, _SEARCHERS, BENCH_TOKEN=token):
            for what in _BESIDE:
                rounds = [(await timed(mine[what], range(options.asks)))[0] for _ in range(options.rounds)]
                measurements.put(f"{what} beside", [percentile(one, 99) for one in rounds], note=_medians(rounds))


async def _ask_in_rounds(session: Session, measurements: Measurements, what: str, mine: Ask, other: Ask | None) -> None:
    rounds: list[list[float]] = []
    flowers: list[list[float]] = []
    broad, numbers = 0, count()
    try:
        for _ in range(2):
            await mine(next(numbers))  # the first ones read the catalogue
        for _ in range(session.options.rounds):
            figures, more = await timed(mine, [next(numbers) for _ in range(session.options.asks)])
            rounds.append(figures)
            broad += more
            if other is not None:
                flowers.append((await timed(other, [next(numbers) for _ in range(session.options.asks)]))[0])
    except httpx.HTTPError as error:
        raise BenchmarkError(f"{what}: {error}") from error
    note = _medians(rounds) + (f", {_medians(flowers)} of Flower" if flowers else "")
    note += f"; {broad} too broad" if broad else ""
    mine_p99, flower_p99 = ([percentile(one, 99) for one in of_side] for of_side in (rounds, flowers))
    measurements.put(what, mine_p99, flower_p99, note)


def _medians(rounds: Sequence[Sequence[float]]) -> str:
    return f"p50 {number(percentile([percentile(one, 50) for one in rounds], 50))} ms"


PART = Part(
    name="lists",
    what="Lists, filters and searches of a large record",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=720.0,
)
