"""Intake of the reconciler: events a second, their cost, and the latency of a single one.

Tasks of three events each wait on the bus when the reconciler starts: first with the events of a task side by side, as
short tasks produce them; then with all tasks received before the first one runs. Then single cancels are timed.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypedDict
from uuid import uuid4

import psutil
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.publisher import EventEntry, publish_entries, publish_events
from signalbox.bus.receipts import Receipts
from signalbox.messages.base import utc_now
from signalbox.messages.codec import encode
from signalbox.messages.events import CommandDone, Event, TaskCancelled, TaskReceived, TaskStarted, TaskSucceeded
from signalbox.postgres.pool import Database, open_database
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey

#: Seconds that recording may take.
_TIMEOUT = 300.0
#: Events in one publication.
_CHUNK = 1000


@dataclass(frozen=True)
class Stores:
    """The stores of the reconciler."""

    redis: Redis
    database: Database
    environ: dict[str, str]


class _Heading(TypedDict):
    task_id: str
    host: str
    celery_name: str
    name: str
    worker: str
    queue: str


class _Arguments(TypedDict):
    args: str
    kwargs: str


def a_task(number: int) -> tuple[TaskReceived, TaskStarted, TaskSucceeded]:
    """The events of a task that is received, starts and succeeds."""
    at, pid = utc_now() + timedelta(milliseconds=number), 1000 + number % 64
    heading = _Heading(
        task_id=str(uuid4()),
        host="web-07",
        celery_name="shop.orders.charge",
        name="charge",
        worker="worker@web-07",
        queue="orders",
    )
    arguments = _Arguments(args="('order-4711',)", kwargs="{'currency': 'EUR'}")
    run = f"0000.{round(at.timestamp() * 1000):013d}.abcdef12.{pid}"
    return (
        TaskReceived(at=at, run="0000", **heading, **arguments),
        TaskStarted(at=at + timedelta(milliseconds=1), run=run, pid=pid, **heading, **arguments),
        TaskSucceeded(at=at + timedelta(milliseconds=9), run=run, pid=pid, runtime=0.008, **heading),
    )


async def fill(redis: Redis, events: Sequence[Event]) -> None:
    """Put events on the bus, numbered as a controller does."""
    epoch = uuid4().hex
    entries = [EventEntry(encode(event), f"{epoch} {place}".encode()) for place, event in enumerate(events, 1)]
    for begin in range(0, len(entries), _CHUNK):
        await publish_entries(redis, entries[begin : begin + _CHUNK])


@asynccontextmanager
async def a_reconciler(stores: Stores) -> AsyncIterator[psutil.Process]:
    """The service as it is deployed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "signalbox_reconciler", env=stores.environ)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def intake(stores: Stores, events: Sequence[Event]) -> str:
    """Record these events; return the figures."""
    async with stores.database.connection() as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await stores.redis.flushall()
    await fill(stores.redis, events)
    async with a_reconciler(stores) as reconciler:
        await _until(stores.redis, done=0)
        began, used = time.perf_counter(), sum(reconciler.cpu_times()[:2])
        await _until(stores.redis, done=len(events))
        seconds = time.perf_counter() - began
        cost = (sum(reconciler.cpu_times()[:2]) - used) / len(events) * 100_000
        memory = reconciler.memory_info().rss / 2**20
    return f"{len(events) / seconds:7.0f} events/s   {cost:4.1f} CPU-seconds per 100k   {memory:3.0f} MB"


async def _until(redis: Redis, *, done: int) -> None:
    """Wait until the reconciler reads, and has acknowledged so many events."""
    async with asyncio.timeout(_TIMEOUT):
        while True:
            groups = await redis.xinfo_groups(names.EVENTS)
            if groups and (groups[0]["entries-read"] or 0) - groups[0]["pending"] >= done:
                return
            await asyncio.sleep(0.002)


async def latencies(stores: Stores, count: int) -> list[float]:
    """Milliseconds from the publication of a cancel's proof to the receipt that it is recorded."""
    figures = []
    async with a_reconciler(stores):
        for number in range(count + 1):
            _, started, _ = a_task(number)
            await publish_events(stores.redis, [started])
            await asyncio.sleep(0.02)
            figures.append(await _recorded(stores.redis, started))
    return figures[1:]  # the first one waited for the service to start


async def _recorded(redis: Redis, started: TaskStarted) -> float:
    command_id, now = str(uuid4()), utc_now()
    killed = TaskCancelled(
        at=now,
        host=started.host,
        task_id=started.task_id,
        run=started.run,
        celery_name=started.celery_name,
        name=started.name,
        worker=started.worker,
        pid=started.pid,
        command_id=command_id,
        signal="TERM",
    )
    done = CommandDone(at=now, host=started.host, command_id=command_id, verdict="cancelled", task_id=started.task_id)
    receipts, began = Receipts(redis, command_id), time.perf_counter()
    await publish_events(redis, [killed, done])
    while not await receipts.next(2.0):
        if time.perf_counter() - began > _TIMEOUT:
            raise SystemExit("a cancel was never recorded")
    return (time.perf_counter() - began) * 1000


async def benchmark(count: int, singles: int) -> str:
    """Start embedded stores, measure, stop them; return the figures, a line each."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        postgres, valkey = EmbeddedPostgres(Path(folder) / "postgres"), EmbeddedValkey(Path(folder) / "valkey")
        try:
            await postgres.start()
            await valkey.start()
            environ = os.environ | {
                "SIGNALBOX_REDIS_URL": valkey.url,
                "SIGNALBOX_DATABASE_URL": postgres.url,
                "SIGNALBOX_KEY": "a key for a benchmark, long enough to be one",
                "SIGNALBOX_LOG_LEVEL": "warning",
            }
            async with open_database(postgres.url) as database, aclosing(connect(valkey.url)) as redis:
                return await _measure(Stores(redis, database, environ), count, singles)
        finally:
            await valkey.stop()
            await postgres.stop()


async def _measure(stores: Stores, count: int, singles: int) -> str:
    tasks = [a_task(number) for number in range(count)]
    received: list[Event] = [events[0] for events in tasks]
    rest: list[Event] = [event for events in tasks for event in events[1:]]
    side_by_side = await intake(stores, [event for events in tasks for event in events])
    apart = await intake(stores, received + rest)
    single = statistics.quantiles(await latencies(stores, singles), n=100, method="inclusive")
    return "\n".join(
        (
            f"short tasks           {side_by_side}",
            f"received long before  {apart}",
            f"a single cancel       p50 {single[49]:5.1f} ms   p99 {single[98]:5.1f} ms until it is recorded",
        )
    )


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=50_000, help="tasks of three events each (default: 50000)")
    parser.add_argument("--count", type=int, default=200, help="single cancels to time (default: 200)")
    arguments = parser.parse_args()
    print(asyncio.run(benchmark(arguments.tasks, arguments.count)))


if __name__ == "__main__":
    main()
