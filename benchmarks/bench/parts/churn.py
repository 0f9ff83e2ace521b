"""Part `churn`: whether the record stays as large and as fast while tasks come and go; the days are simulated."""

import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from bench.load.tasks import a_finished_task
from bench.rows import Measurements, Row, Target
from bench.session import Part, Session
from bench.systems.record import stores
from signalbox.messages.base import utc_now
from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import PLANNED_ONCE, Connection, Database, open_database
from signalbox_api.app import LIST_OPTIONS
from signalbox_api.record.task_filter import TaskFilter
from signalbox_api.record.task_lists import list_tasks
from signalbox_api.record.views import find_task
from signalbox_reconciler.fold import fold
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.retention.rules import length
from signalbox_reconciler.service import MIGRATIONS, SERVICE
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.checks import fold_counts

#: How long tasks are kept, and the days after which as many go as come: a period is still being filled.
KEEP = timedelta(days=30)
STEADY = (KEEP + 2 * length(KEEP)) // timedelta(days=1)
#: Days that pass; days between two measurements; measurements at the beginning and at the end that are compared.
DAYS, EVERY, COMPARED = 90, 5, 3
#: Tasks in one transaction.
BATCH = 300
ROWS = (
    Row("size", "churn: size of the record, divided by that when it was first full", "×", Target(1.1)),
    Row("newest", "churn: list of the newest tasks, the same", "×", Target(1.25)),
    Row("name", "churn: list of the tasks of a name, the same", "×", Target(1.25)),
    Row("one", "churn: look-up of an id, the same", "×", Target(1.25)),
    Row("written", "churn: tasks written a second, the same", "×", Target(0.8, at_least=True), more_is_better=True),
)
_METHOD = f"""\
A record keeps tasks for {KEEP.days} days. Each day so many tasks are written as the reconciler writes them; then all
periods begin a day earlier, and a round of retention runs. The first {COMPARED} measurements after day {STEADY}, when
as much goes as comes, are compared with the last {COMPARED} of {DAYS} days, at the median. Flower keeps no record."""
_SIZE = """
SELECT sum(pg_total_relation_size(c.oid)) / 2^20 FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = 'signalbox'::regnamespace
"""
#: As the server does by itself, given a day.
_VACUUMED = ("open_tasks", "open_task_logs", "task_count_deltas")


class Day(msgspec.Struct, frozen=True):
    """What was measured at the end of a day: megabytes, milliseconds at the median, tasks a second."""

    size: float
    newest: float
    name: float
    one: float
    written: float


async def measure(session: Session, measurements: Measurements) -> None:
    """Let the days pass, and compare."""
    days: list[Day] = []
    async with stores(session.folder) as found:
        url = found.postgres.url
        async with (
            open_database(url, connections=2, options=PLANNED_ONCE, timeout=600.0) as database,
            open_database(url, connections=1, options=LIST_OPTIONS) as lists,
            open_database(url, connections=1, options=PLANNED_ONCE) as keys,
        ):
            await _make(database)
            began = utc_now() - timedelta(days=DAYS)
            for day in range(1, DAYS + 1):
                written = await _pass_day(database, began + timedelta(days=day - 1), day, session.options.churn)
                if day > STEADY and day % EVERY == 0:
                    days.append(await _look(database, lists, keys, f"{day}-1", written, session.options.asks))
                    session.say(f"day {day} of {DAYS}: {days[-1].size:.1f} MB, newest {days[-1].newest:.2f} ms")
    for row in ROWS:
        figures = [getattr(day, row.key) for day in days]
        first, last = (statistics.median(part) for part in (figures[:COMPARED], figures[-COMPARED:]))
        measurements.put(row.key, [last / first], note=f"{first:.4g} at first, {last:.4g} at last")


async def _make(database: Database) -> None:
    await migrate(database, SERVICE, MIGRATIONS)
    await convert(database)
    await complete_indexes(database)


async def _pass_day(database: Database, begins: datetime, day: int, count: int) -> float:
    """Write the tasks of a day, started and then ended, and let it pass; return how many a second were written."""
    made = [
        a_finished_task(f"{day}-{number}", number, begins + timedelta(days=number / count)) for number in range(count)
    ]
    began = time.perf_counter()
    for first in range(0, count, BATCH):
        for part in (0, 1):
            async with database.transaction() as connection:
                await write_batch(connection, fold([events[part] for events in made[first : first + BATCH]]))
    async with database.transaction() as connection:
        await fold_counts(connection)
    written = count / (time.perf_counter() - began)
    async with database.connection() as connection:
        await connection.execute("UPDATE periods SET begins = begins - interval '1 day'")
        for table in _VACUUMED:
            await connection.execute(f"VACUUM {table}")
    await Retention(database, {"completed": KEEP, "failed": KEEP}, timedelta(days=365)).round()
    return written


async def _look(database: Database, lists: Database, keys: Database, task_id: str, written: float, times: int) -> Day:
    async with database.connection() as connection:
        size = float(await connection.fetchval(_SIZE))
    return Day(
        size=size,
        newest=await _median_ms(lists, lambda connection: list_tasks(connection, TaskFilter(), 50, None), times),
        name=await _median_ms(
            lists, lambda connection: list_tasks(connection, TaskFilter(name="task_3"), 50, None), times
        ),
        one=await _median_ms(keys, lambda connection: find_task(connection, task_id), times),
        written=written,
    )


async def _median_ms(database: Database, query: Callable[[Connection], Awaitable[object]], times: int) -> float:
    figures: list[float] = []
    async with database.connection() as connection:
        await query(connection)  # the first time it is prepared
        for _ in range(times):
            began = time.perf_counter()
            await query(connection)
            figures.append((time.perf_counter() - began) * 1000)
    return statistics.median(figures)


PART = Part(
    name="churn",
    what="Churn of a record that keeps tasks for 30 days",
    method=_METHOD,
    rows=ROWS,
    measure=measure,
    deadline=240.0,
    needs_flower=False,
)
