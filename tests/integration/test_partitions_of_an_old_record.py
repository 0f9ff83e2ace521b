"""A record that was there before there were partitions gets them in steps, and loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_api.app import LIST_OPTIONS
from signalbox_api.record.task_filter import TaskFilter
from signalbox_api.record.task_lists import list_tasks
from signalbox_reconciler.partitions.conversion import check_rows, convert, make_partitions, move_open
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.partitions.leaves import TABLES
from signalbox_reconciler.partitions.periods import read_periods
from support.eventually import HANGS, eventually
from support.history import Life
from support.old_record import an_old_record
from support.reconciler import a_recording
from support.retention import DIFFERENCE, KEEP, keep_round, pass_days, places, write
from support.stores.server import Postgres, Redis

TASKS = 400
_WAITING = """
SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
WHERE NOT granted AND datname = current_database()
"""


@pytest.fixture
async def old(postgres_server: Postgres) -> AsyncIterator[tuple[str, Database]]:
    async with an_old_record(postgres_server, TASKS) as record:
        yield record


async def rows(connection: Connection, table: str) -> list[Mapping[str, Any]]:
    """What it holds, but for its place."""
    found = await connection.fetch(f"SELECT * FROM {table} ORDER BY task_id")  # noqa: S608 - our own names
    return [{name: value for name, value in row.items() if name != "period"} for row in found]


async def newest(database: Database, **filters: Any) -> list[str]:
    async with database.connection() as connection:
        page = await list_tasks(connection, TaskFilter(**filters), 500, None)
    return [task.task_id for task in page.items]


async def is_whole(database: Database) -> None:
    """Each task has its place, with its logs, and is counted."""
    async with database.connection() as connection:
        there = await places(connection)
        assert set(there.values()) == {"open_tasks", "tasks_before"}
        running = await connection.fetch("SELECT task_id FROM tasks WHERE status = 'running'")
        assert {row["task_id"] for row in running} == {key for key, place in there.items() if place == "open_tasks"}
        apart = "SELECT count(*) FROM tasks JOIN task_logs USING (task_id) WHERE tasks.period <> task_logs.period"
        assert await connection.fetchval(apart) == 0
        assert await connection.fetch(DIFFERENCE) == []


FILTERS: tuple[dict[str, Any], ...] = ({}, {"status": "failed"}, {"status": "running"})


async def test_it_shows_the_same_before_meanwhile_and_after(old: tuple[str, Database]) -> None:
    url, database = old
    async with database.connection() as connection, open_database(url, options=LIST_OPTIONS) as lists:
        before = [await rows(connection, table) for table in TABLES]
        shown = [await newest(lists, **filters) for filters in FILTERS]
        assert [len(found) for found in shown] == [TASKS, 80, 40]
        for step in (check_rows, make_partitions, move_open, complete_indexes):
            await step(database)
            assert [await rows(connection, table) for table in TABLES] == before
            assert [await newest(lists, **filters) for filters in FILTERS] == shown
    await is_whole(database)


async def test_it_goes_on_where_it_was_killed(old: tuple[str, Database]) -> None:
    _, database = old
    async with database.transaction() as reader:
        await reader.fetch("SELECT count(*) FROM tasks")
        killed = asyncio.create_task(convert(database))
        await eventually(lambda: _waits(database), "it waits for who reads")
        killed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killed
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM task_logs") == TASKS
    await check_rows(database)
    await make_partitions(database)  # and is killed again before the open tasks are moved
    await convert(database)
    await is_whole(database)
    await convert(database)
    await is_whole(database)


async def test_of_two_that_start_at_once_one_makes_the_partitions(old: tuple[str, Database]) -> None:
    _, database = old
    await asyncio.gather(*(convert(database) for _ in range(2)))
    await is_whole(database)
    async with database.connection() as connection:
        assert [period.period for period in await read_periods(connection)] == [1, -2, 2]


async def test_its_tasks_go_on_and_go_when_they_are_old_enough(old: tuple[str, Database]) -> None:
    _, database = old
    await convert(database)
    run, late = Life("old-1").run(2), Life("old-2").run(600, pid=7)
    await write(database, run.succeeded(60), late.started())
    async with database.connection() as connection:
        there = await places(connection)
        assert (there["old-1"], there["old-2"]) == ("completed_tasks_2", "open_tasks")
        ids = await connection.fetch("SELECT log_id FROM task_logs")
        assert len({row["log_id"] for row in ids}) == TASKS + 1
    await pass_days(database, 29)
    await keep_round(database)
    async with database.connection() as connection:
        assert len(await places(connection)) == TASKS
    await pass_days(database, 1)
    await keep_round(database, KEEP)
    async with database.connection() as connection:
        assert set((await places(connection)).values()) == {"open_tasks", "completed_tasks_2"}
        assert await connection.fetch(DIFFERENCE) == []
        assert await connection.fetchval("SELECT to_regclass('tasks_before') IS NULL")


async def test_who_might_read_the_tables_may_read_the_new_ones(old: tuple[str, Database]) -> None:
    _, database = old
    async with database.connection() as connection:
        await connection.execute("GRANT SELECT ON tasks, task_logs TO pg_monitor")
        await convert(database)
        for table in ("tasks", "task_logs"):
            assert await connection.fetchval("SELECT has_table_privilege('pg_monitor', $1, 'SELECT')", table)
        assert not await connection.fetchval("SELECT has_table_privilege('pg_monitor', 'tasks', 'UPDATE')")


async def test_a_reconciler_of_the_release_before_is_waited_for(
    old: tuple[str, Database], valkey: Redis, tmp_path: Path
) -> None:
    url, database = old
    async with database.connection() as connection:
        await connection.execute("INSERT INTO reconcilers VALUES ('web-01-7', now() + interval '1 hour')")
    async with a_recording(valkey, url, tmp_path) as recording:
        reconciler = recording.launch()
        await reconciler.says("waiting until the reconcilers of the release before are stopped: web-01-7")
        assert "ready" not in reconciler.log
        async with database.connection() as connection:
            await connection.execute("DELETE FROM reconcilers")
        await reconciler.says("ready")
        await is_whole(database)


async def test_one_that_has_waited_goes_on_when_another_of_its_release_has_converted_it_and_writes(
    old: tuple[str, Database], caplog: pytest.LogCaptureFixture
) -> None:
    _, database = old
    async with database.connection() as connection:
        await connection.execute("INSERT INTO reconcilers VALUES ('web-01-8', now() + interval '1 hour')")
    second = asyncio.create_task(convert(database))

    async def waits() -> bool:
        return "waiting until" in caplog.text

    await eventually(waits, "it waits")
    await make_partitions(database)
    await asyncio.wait_for(second, HANGS)
    await is_whole(database)


async def test_a_reconciler_converts_it_while_events_and_cancels_come(
    old: tuple[str, Database], valkey: Redis, tmp_path: Path
) -> None:
    url, database = old
    lives = [Life(f"new-{number}") for number in range(50)]
    async with a_recording(valkey, url, tmp_path) as recording, database.transaction() as reader:
        await reader.fetch("SELECT count(*) FROM tasks")
        first = recording.launch()
        await first.says("applied now: nothing")
        await eventually(lambda: _waits(database), "it waits for who reads")
        await recording.tell(*(life.run(2).started() for life in lives))
        await recording.tell(Life("old-1").run(2).cancelled(60))
        await first.end()  # in the middle
        second = recording.launch()
        await second.says("applied now: nothing")
        await eventually(lambda: _waits(database), "it waits for who reads, too")
        await reader.execute("COMMIT; BEGIN")
        await second.says("ready")
        await recording.shows("SELECT 1 FROM tasks WHERE task_id LIKE 'new-%' HAVING count(*) = 50")
        assert (await recording.task("failed", "old-1"))["outcome"] == "cancelled"
        [shown] = await recording.rows("SELECT count(*) AS n FROM tasks")
        assert shown["n"] == TASKS + len(lives)
    async with database.connection() as connection:
        assert await connection.fetch(DIFFERENCE) == []


async def _waits(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval(_WAITING))
