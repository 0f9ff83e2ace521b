"""Memory of an open page while its list changes all the time.

Tasks of three events each come by the bus at an even rate; the page shows the list, newest first, as a person leaves it
open. The heap is measured after a garbage collection, and so are the nodes that the page holds, shown or not. At the
end: how many times the memory of its first full list the page has.
"""

import argparse
import asyncio
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from playwright.async_api import CDPSession, Page

from bench.load.tasks import a_task
from signalbox.bus.connection import connect
from signalbox.bus.publisher import publish_events
from support.browser import Windows, a_browser
from support.page import look_at
from support.stores.choose import a_postgres, a_redis
from support.stores.databases import a_database
from support.system import System, a_system

#: Publications a second.
_BEATS = 10


async def publish(system: System, rate: int, seconds: float) -> None:
    """Publish so many events a second, for so long."""
    tasks = max(1, rate // 3 // _BEATS)
    redis = connect(system.redis.url)
    async with aclosing(redis):
        for _ in range(round(seconds * _BEATS)):
            await publish_events(redis, [event for number in range(tasks) for event in a_task(number)])
            await asyncio.sleep(1 / _BEATS)


async def size(devtools: CDPSession) -> tuple[float, int]:
    """Megabytes of the heap, and nodes, after a garbage collection."""
    await devtools.send("HeapProfiler.collectGarbage")
    heap = await devtools.send("Runtime.getHeapUsage")
    counters = await devtools.send("Memory.getDOMCounters")
    return heap["usedSize"] / 2**20, counters["nodes"]


async def measure(system: System, page: Page, rate: int, seconds: float, every: float) -> float:
    """Print the size of the page while the events come; return the last heap divided by that of the first full list."""
    await look_at(page, "#/tasks")
    devtools = await page.context.new_cdp_session(page)
    began, publishing = time.monotonic(), asyncio.create_task(publish(system, rate, seconds))
    heaps: list[float] = []
    while True:
        heap, nodes = await size(devtools)
        heaps.append(heap)
        rows = await page.get_by_test_id("task-row").count()
        print(f"{time.monotonic() - began:5.0f} s   {heap:6.1f} MB   {nodes:7d} nodes   {rows:4d} rows", flush=True)
        if publishing.done():
            break
        await asyncio.wait([publishing], timeout=every)
    await publishing
    return heaps[-1] / heaps[1]


async def benchmark(rate: int, seconds: float, every: float) -> None:
    """Start a system in a folder of its own and a browser, measure, and stop them."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as name:
        folder = Path(name)
        async with (
            a_browser() as browser,
            a_postgres(folder / "postgres") as postgres,
            a_redis(folder / "redis") as redis,
            a_database(postgres) as database,
            a_system(folder / "data", postgres, redis, database) as system,
        ):
            windows = Windows(browser, system.url)
            try:
                ratio = await measure(system, await windows.open_as(*system.admin), rate, seconds, every)
            finally:
                await windows.close()
    print(f"{ratio:.1f} times the memory of the first full list, after {seconds:.0f} s at {rate} events a second")


def main() -> None:
    """Read the arguments, run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=60, help="events a second (default: 60)")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long (default: 180)")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two measurements (default: 30)")
    arguments = parser.parse_args()
    asyncio.run(benchmark(arguments.rate, arguments.seconds, arguments.every))


if __name__ == "__main__":
    main()
