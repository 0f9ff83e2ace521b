"""Lists, filters and searches of a large record: milliseconds, and how many times as long as the plainest list.

Each is asked through the pools of the api, with another value each time. Then lists are timed again while eight others
search for what takes longest. The record is made inside PostgreSQL; its indexes as on a record that was there before.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from signalbox.messages.base import utc_now
from signalbox.postgres.pool import open_database
from signalbox_api.app import LIST_OPTIONS, RECORD_CONNECTIONS, SEARCH_CONNECTIONS
from signalbox_api.errors import TooBroad
from signalbox_api.record import search
from signalbox_api.record.counts import read_counts
from signalbox_api.record.cursor import Cursor
from signalbox_api.record.database import DatabaseHealth, QueryPool, SearchPool
from signalbox_api.record.task_filter import TaskFilter, is_search
from signalbox_api.record.task_lists import list_tasks
from signalbox_api.record.views import find_task
from signalbox_local.stores.postgres import EmbeddedPostgres
from support.filled_record import fill_record, task_id_of

#: Tasks on a page.
_PAGE = 50
#: Who search at once while lists are timed.
_SEARCHERS = 8

Ask = Callable[[int], Awaitable[object]]


@dataclass(frozen=True)
class Pools:
    """The pools of the api."""

    record: QueryPool
    searches: SearchPool

    async def tasks(self, after: Cursor | None = None, **given: Any) -> object:  # noqa: ANN401 - as of TaskFilter
        """One page of a list."""
        filters = TaskFilter(**given)
        pool = self.searches if is_search(filters) else self.record
        return await pool.read(lambda connection: list_tasks(connection, filters, _PAGE, after), within=60.0)


@asynccontextmanager
async def pools(url: str) -> AsyncIterator[Pools]:
    """Connections as the api has them."""
    async with AsyncExitStack() as stack:
        record, searches = [
            await stack.enter_async_context(open_database(url, connections=most, read_only=True, options=options))
            for most, options in ((RECORD_CONNECTIONS, LIST_OPTIONS), (SEARCH_CONNECTIONS, search.OPTIONS))
        ]
        health = DatabaseHealth(record)
        yield Pools(QueryPool(record, health), SearchPool(searches, health))


def questions(pools: Pools, rows: int) -> Mapping[str, Ask]:
    """What is timed, by its description; each takes a number that chooses a value."""
    span = timedelta(seconds=2 * rows)
    return {
        "newest": lambda _: pools.tasks(),
        "a page far back": lambda n: pools.tasks(Cursor(utc_now() - span * (n % 97) / 100, "8")),
        "status running": lambda _: pools.tasks(status="running"),
        "status failed": lambda _: pools.tasks(status="failed"),
        "a common name": lambda n: pools.tasks(name=f"task_{n % 31}"),
        "a name of long ago": lambda _: pools.tasks(name="retired"),
        "a rare name": lambda _: pools.tasks(name="name-rare"),
        "a common host": lambda n: pools.tasks(host=f"host-{n % 97}"),
        "a rare host": lambda _: pools.tasks(host="host-rare"),
        "a rare queue": lambda _: pools.tasks(queue="queue-rare"),
        "a rare outcome": lambda _: pools.tasks(outcome="worker_lost"),
        "failed of a name": lambda n: pools.tasks(status="failed", name=f"task_{n % 31}"),
        "failed on a rare host": lambda _: pools.tasks(status="failed", host="host-rare"),
        "an id": lambda n: pools.record.read(lambda connection: find_task(connection, task_id_of(n * 7919 % rows + 1))),
        "counts": lambda _: pools.record.read(read_counts),
        "search: a whole id": lambda n: pools.tasks(q=task_id_of(n * 7919 % rows + 1)),
        "search: eight of an id": lambda n: pools.tasks(q=task_id_of(n * 7919 % rows + 1)[:8]),
        "search: a name": lambda n: pools.tasks(q=f"task_{n % 31}"),
        "search: an old name": lambda _: pools.tasks(q="retire"),
        "search: an argument": lambda n: pools.tasks(q=f"order-{n * 7919 % rows + 1}"),
        "search: an error": lambda n: pools.tasks(q=f"item {(n * 7919 % rows) // 20 * 20} in hall"),
        "search: a common error": lambda _: pools.tasks(q="no stock"),
        "search: what all have": lambda _: pools.tasks(q="EUR"),
        "search: one letter": lambda _: pools.tasks(q="c"),
        "search: nothing": lambda n: pools.tasks(q=f"no such text {n}"),
    }


async def timed(ask: Ask, times: int) -> tuple[list[float], int]:
    """Milliseconds of each answer, and how many searches were too broad."""
    figures, broad = [], 0
    for number in range(times + 2):
        began = time.perf_counter()
        try:
            await ask(number)
        except TooBroad:
            broad += 1
        figures.append((time.perf_counter() - began) * 1000)
    return figures[2:], broad  # the first ones read the catalogue


async def beside_searches(pools: Pools, ask: Ask, times: int) -> list[float]:
    """The same while others search."""
    numbers = count()

    async def search_on() -> None:
        while True:
            with suppress(TooBroad):
                await pools.tasks(q=f"order-{next(numbers) % 10} of all")

    searchers = [asyncio.create_task(search_on()) for _ in range(_SEARCHERS)]
    try:
        return (await timed(ask, times))[0]
    finally:
        for searcher in searchers:
            searcher.cancel()
        await asyncio.gather(*searchers, return_exceptions=True)


def line(what: str, figures: list[float], plain: float, note: str = "") -> str:
    """The figures in a line; `plain` is the median of what they are compared with."""
    points = statistics.quantiles(figures, n=100, method="inclusive")
    return f"{what:26} p50 {points[49]:8.2f} ms   p99 {points[98]:8.2f} ms   {points[49] / plain:7.1f} ×{note}"


async def measure(url: str, rows: int, times: int) -> None:
    """Print the figures as they come."""
    async with pools(url) as opened:
        asked = questions(opened, rows)
        plain, _ = await timed(asked["newest"], times)
        median = statistics.median(plain)
        for what, ask in asked.items():
            figures, broad = await timed(ask, times)
            print(line(what, figures, median, f"   {broad} too broad" if broad else ""), flush=True)
        for what in ("newest", "a rare host", "an id"):
            figures = await beside_searches(opened, asked[what], times)
            print(line(f"{what}, beside searches", figures, median), flush=True)


async def benchmark(rows: int, times: int) -> None:
    """Make a record, measure, throw it away."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            await postgres.start()
            began = time.perf_counter()
            async with open_database(postgres.url, connections=2, timeout=6 * 3600.0) as database:
                await fill_record(database, rows)
            print(f"{rows:,} tasks, made in {time.perf_counter() - began:.0f} s", flush=True)
            await measure(postgres.url, rows, times)
        finally:
            await postgres.stop()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="tasks in the record (default: 1000000)")
    parser.add_argument("--count", type=int, default=100, help="times that each is asked (default: 100)")
    arguments = parser.parse_args()
    asyncio.run(benchmark(arguments.rows, arguments.count))


if __name__ == "__main__":
    main()
