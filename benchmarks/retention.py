"""Size of the record and time of its lists while tasks come and go; the days that pass are simulated.

Each day so many tasks are written as a reconciler writes them; then all periods begin a day earlier, and a round of
retention runs. When as much goes as comes, neither size nor lists may grow any more: both are printed as ratios to the
first day on which that is so.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from signalbox.messages.base import utc_now
from signalbox.messages.events import AnyTaskEvent, TaskStarted, TaskSucceeded
from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import Database, open_database
from signalbox_api.app import LIST_OPTIONS
from signalbox_api.record.task_filter import TaskFilter
from signalbox_api.record.task_lists import list_tasks
from signalbox_api.record.views import find_task
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_reconciler.fold import fold
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.retention.rules import Keep, length
from signalbox_reconciler.service import MIGRATIONS, OPTIONS, SERVICE
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.checks import fold_counts

#: Tasks in one transaction.
_BATCH = 300
_SIZE = """
SELECT sum(pg_total_relation_size(c.oid)) / 2^20 FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = 'signalbox'::regnamespace
"""
_OPEN_SIZE = "SELECT pg_total_relation_size('open_tasks') / 2^20"


class Figures(msgspec.Struct, frozen=True):
    """What was measured on one day: megabytes, milliseconds (medians), tasks a second."""

    size: float
    open_size: float
    newest: float
    by_name: float
    no_such_name: float
    by_id: float
    written: float


def a_task(day: int, number: int, at: datetime) -> Sequence[AnyTaskEvent]:
    """The events of a task that succeeds."""
    run, task_id = f"0000.{round(at.timestamp() * 1000):013d}.abcdef12.7", f"{day}-{number}"
    name = f"task_{number % 31}"
    started = TaskStarted(
        at=at,
        run=run,
        pid=7,
        task_id=task_id,
        host=f"host-{number % 97}",
        celery_name=f"shop.orders.{name}",
        name=name,
        worker="worker@web-07",
        queue="orders",
        args=f"('order-{number}',)",
    )
    succeeded = TaskSucceeded(
        at=at + timedelta(seconds=1),
        run=run,
        pid=7,
        runtime=1.0,
        task_id=task_id,
        host=started.host,
        celery_name=started.celery_name,
        name=name,
        worker="worker@web-07",
    )
    return started, succeeded


async def write_day(database: Database, day: int, tasks: int, begins: datetime) -> float:
    """Start all tasks of a day, then end them, in batches; return how many a second."""
    began = time.perf_counter()
    made = [a_task(day, number, begins + timedelta(days=number / tasks)) for number in range(tasks)]
    for first in range(0, tasks, _BATCH):
        for part in (0, 1):
            async with database.transaction() as connection:
                await write_batch(connection, fold([events[part] for events in made[first : first + _BATCH]]))
    async with database.transaction() as connection:
        await fold_counts(connection)
    return tasks / (time.perf_counter() - began)


async def median_ms(lists: Database, filters: TaskFilter | str, times: int) -> float:
    """The median of so many lists, or look-ups of an id."""
    figures = []
    async with lists.connection() as connection:
        for _ in range(times + 2):
            began = time.perf_counter()
            if isinstance(filters, str):
                await find_task(connection, filters)
            else:
                await list_tasks(connection, filters, 50, None)
            figures.append((time.perf_counter() - began) * 1000)
    return statistics.median(figures[2:])


async def measure(database: Database, lists: Database, day: int, written: float, times: int) -> Figures:
    """The figures of a day."""
    async with database.connection() as connection:
        size, open_size = await connection.fetchval(_SIZE), await connection.fetchval(_OPEN_SIZE)
    return Figures(
        size=float(size),
        open_size=float(open_size),
        newest=await median_ms(lists, TaskFilter(), times),
        by_name=await median_ms(lists, TaskFilter(name="task_3"), times),
        no_such_name=await median_ms(lists, TaskFilter(name="no_such"), times),
        by_id=await median_ms(lists, f"{day}-1", times),
        written=written,
    )


def line(day: int, figures: Figures, steady: Figures | None) -> str:
    """The figures of a day, and what they are of those of the first steady day."""
    ratios = ""
    if steady is not None:
        ratios = (
            f"   size {figures.size / steady.size:5.2f} ×   newest {figures.newest / steady.newest:5.2f} ×"
            f"   name {figures.by_name / steady.by_name:5.2f} ×   written {figures.written / steady.written:5.2f} ×"
        )
    return (
        f"day {day:4}   {figures.size:7.1f} MB, open {figures.open_size:5.1f}   newest {figures.newest:6.2f} ms"
        f"   name {figures.by_name:6.2f}   no such name {figures.no_such_name:6.2f}   id {figures.by_id:6.2f}"
        f"   {figures.written:6.0f} tasks/s{ratios}"
    )


async def churn(url: str, days: int, tasks: int, kept: timedelta, times: int) -> None:
    """Print the figures as the days pass."""
    keep: Keep = {"completed": kept, "failed": kept}
    first_steady = (kept + 2 * length(kept)) // timedelta(days=1)
    steady: Figures | None = None
    async with (
        open_database(url, connections=2, options=OPTIONS, timeout=3600.0) as database,
        open_database(url, connections=1, options=LIST_OPTIONS) as lists,
    ):
        await migrate(database, SERVICE, MIGRATIONS)
        await convert(database)
        await complete_indexes(database)
        retention = Retention(database, keep, timedelta(days=365))
        began = utc_now() - timedelta(days=days)
        for day in range(days):
            written = await write_day(database, day, tasks, began + timedelta(days=day))
            async with database.connection() as connection:
                await connection.execute("UPDATE periods SET begins = begins - interval '1 day'")
                for table in ("open_tasks", "open_task_logs", "task_count_deltas"):
                    await connection.execute(f"VACUUM {table}")  # as the server does by itself, given a day
            if not await retention.round():
                raise SystemExit("the round failed; the log above says why")
            if day % 5 == 4 or day == days - 1:
                figures = await measure(database, lists, day, written, times)
                print(line(day + 1, figures, steady), flush=True)
                steady = figures if steady is None and day >= first_steady else steady


async def benchmark(days: int, tasks: int, kept: timedelta, times: int) -> None:
    """Make a record, let the days pass, throw it away."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            await postgres.start()
            await churn(postgres.url, days, tasks, kept, times)
        finally:
            await postgres.stop()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=75, help="days that pass (default: 75)")
    parser.add_argument("--tasks", type=int, default=600, help="tasks a day (default: 600)")
    parser.add_argument("--keep", type=int, default=30, help="days that they are kept (default: 30)")
    parser.add_argument("--count", type=int, default=30, help="times that each list is asked (default: 30)")
    arguments = parser.parse_args()
    asyncio.run(benchmark(arguments.days, arguments.tasks, timedelta(days=arguments.keep), arguments.count))


if __name__ == "__main__":
    main()
