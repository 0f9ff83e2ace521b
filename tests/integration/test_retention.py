"""Finished tasks go when they are older than the settings say, whole periods at a time; open ones never."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from signalbox.messages.commands import CancelTask
from signalbox.postgres.pool import Database
from signalbox.service import background
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.partitions.periods import detach_period, read_periods
from signalbox_reconciler.retention import loop
from signalbox_reconciler.retention.loop import Retention
from signalbox_reconciler.retention.rules import Keep
from signalbox_reconciler.store import write_batch, write_commands
from support.api import an_api
from support.eventually import eventually
from support.history import HOST, Life, after
from support.retention import DIFFERENCE, KEEP, keep_round, month_passes, pass_days, places, write
from support.stores.server import Redis

DONE, FAILED, OPEN = Life("done"), Life("failed"), Life("open")
RUN = DONE.run(2)
#: One of each status.
ALL = (
    *(DONE.received(1), RUN.started(), RUN.succeeded(3)),
    *(FAILED.received(1), FAILED.run(2).started(), FAILED.run(2).failed(3)),
    *(OPEN.received(1), OPEN.run(2).started()),
)

#: Of an age at which one of them goes, with answers.
OLD_COMMANDS = """
INSERT INTO commands (command_id, command, target, issued_by, issued_from, reason, issued_at, expires_at,
    answer_by, state, detail)
SELECT id, 'StopProcesses', '', 'us', '', '', now() - age, now(), now(), state, ''
FROM (VALUES ('old', interval '366 days', 'stopped'), ('open', interval '366 days', 'issued'),
    ('new', interval '364 days', 'stopped')) AS made (id, age, state);
INSERT INTO command_answers SELECT command_id, 'web-07', 'stopped', 1, '', now() FROM commands
"""


@pytest.fixture
async def client(valkey: Redis, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with an_api(valkey.url, database_url) as api, api.client() as admin:
        yield admin


async def shown(client: httpx.AsyncClient, **query: str) -> set[str]:
    answer = await client.get("/scheduler/tasks/", params=query)
    return {task["task_id"] for task in answer.raise_for_status().json()["items"]}


async def test_what_is_finished_goes_after_a_month_and_what_is_open_stays(
    client: httpx.AsyncClient, database: Database
) -> None:
    await write(database, *ALL)
    assert await shown(client) == {"done", "failed", "open"}
    await pass_days(database, 29)
    await keep_round(database)
    assert await shown(client) == {"done", "failed", "open"}
    await month_passes(database)
    assert await shown(client) == {"open"}
    assert await shown(client, q="done") == set()
    assert (await client.get("/scheduler/tasks/done/")).status_code == 404
    assert (await client.get("/scheduler/tasks/open/")).status_code == 200
    async with database.connection() as connection:
        assert await connection.fetch(DIFFERENCE) == []
        rows = await connection.fetch("SELECT task_id FROM task_logs")
        assert [row["task_id"] for row in rows] == ["open"]


async def test_each_status_has_a_time_of_its_own(client: httpx.AsyncClient, database: Database) -> None:
    await write(database, *ALL)
    keep: Keep = {"completed": timedelta(days=30), "failed": timedelta(days=90)}
    await month_passes(database, keep)
    assert await shown(client) == {"failed", "open"}
    assert await shown(client, status="failed") == {"failed"}


async def test_a_late_event_of_a_task_that_is_gone_is_recorded_as_that_of_any_other(database: Database) -> None:
    await write(database, *ALL)
    await month_passes(database)
    await write(database, RUN.succeeded(3))
    async with database.connection() as connection:
        [task] = await connection.fetch("SELECT status, finished_at FROM tasks WHERE task_id = 'done'")
        assert dict(task) == {"status": "completed", "finished_at": after(3)}
        assert await connection.fetch(DIFFERENCE) == []


async def test_a_finished_task_that_comes_to_life_again_is_the_same_task(database: Database) -> None:
    await write(database, *ALL)
    await pass_days(database, 6)
    await keep_round(database)
    again = DONE.run(600, pid=200)
    await write(database, again.started())
    async with database.connection() as connection:
        [task] = await connection.fetch("SELECT status, run, created_at FROM tasks WHERE task_id = 'done'")
        assert dict(task) == {"status": "running", "run": again.key, "created_at": after(1)}
        assert (await places(connection))["done"] == "open_tasks"
        logs = (
            "SELECT attempt, tableoid::regclass::text AS place FROM task_logs WHERE task_id = 'done' ORDER BY attempt"
        )
        assert [tuple(row.values()) for row in await connection.fetch(logs)] == [
            (1, "open_task_logs"),
            (2, "open_task_logs"),
        ]
    await month_passes(database)
    await write(database, again.failed(700))
    async with database.connection() as connection:
        assert (await places(connection))["done"].startswith("failed_tasks_")
        assert await connection.fetch(DIFFERENCE) == []


async def test_a_late_event_of_a_finished_task_changes_neither_it_nor_its_status(database: Database) -> None:
    await write(database, *ALL)
    query = "SELECT task_id, status, run, attempt, finished_at, created_at, queue FROM tasks ORDER BY task_id"
    async with database.connection() as connection:
        before = [dict(row) for row in await connection.fetch(query)]
        await write(database, RUN.started(), DONE.received(1), FAILED.received(1))
        assert [dict(row) for row in await connection.fetch(query)] == before
        assert (await places(connection))["done"].startswith("completed_tasks_")
        assert await connection.fetch(DIFFERENCE) == []


async def test_an_id_that_ends_in_one_transaction_and_begins_in_another_is_one_task(database: Database) -> None:
    second = Life("done", host="web-08").run(22, pid=101)
    async with database.transaction() as ending:
        await write_batch(ending, fold([DONE.received(1), RUN.started(), RUN.succeeded(3)]))
        other = asyncio.create_task(write(database, second.started()))
        await eventually(lambda: _waits(database), "the other waits for this transaction")
    await other
    async with database.connection() as connection:
        [task] = await connection.fetch("SELECT status, run FROM tasks")
        assert dict(task) == {"status": "running", "run": second.key}
        assert await connection.fetchval("SELECT count(*) FROM task_logs") == 2
        assert await connection.fetch(DIFFERENCE) == []


async def test_open_tasks_are_updated_in_place(database: Database) -> None:
    tasks = [Life(f"t{number}") for number in range(300)]
    await write(database, *(task.received(1) for task in tasks))
    async with database.transaction() as connection:
        await write_batch(connection, fold([task.run(2).started() for task in tasks]))
        [updates] = await connection.fetch(
            "SELECT n_tup_upd AS all, n_tup_hot_upd AS in_place FROM pg_stat_xact_user_tables"
            " WHERE relname = 'open_tasks'"
        )
    assert updates["all"] == updates["in_place"] == len(tasks)


async def test_two_reconcilers_at_once_begin_one_period_and_drop_each_once(database: Database) -> None:
    await write(database, *ALL)
    for days in (6, 31):
        await pass_days(database, days)
        await asyncio.gather(*(keep_round(database) for _ in range(4)))
    async with database.connection() as connection:
        periods = await read_periods(connection)
        assert sorted(period.period for period in periods) == [-4, -3, 3, 4]
        assert set(await places(connection)) == {"open"}
        assert await connection.fetch(DIFFERENCE) == []


async def test_a_reconciler_that_was_killed_before_the_drop_leaves_it_to_the_next(database: Database) -> None:
    await write(database, *ALL)
    await pass_days(database, 6)
    await keep_round(database)
    async with database.transaction() as connection:
        await detach_period(connection, 2)
    async with database.connection() as connection:
        assert await connection.fetch(DIFFERENCE) != []
        await keep_round(database)
        assert await connection.fetch(DIFFERENCE) == []
        assert await connection.fetchval("SELECT to_regclass('completed_tasks_2') IS NULL")
        assert set(await places(connection)) == {"failed", "open"}


async def test_old_commands_go_with_their_answers_and_open_ones_stay(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(OLD_COMMANDS)
        await keep_round(database)
        for table in ("commands", "command_answers"):
            rows = await connection.fetch(f"SELECT command_id FROM {table} ORDER BY 1")  # noqa: S608 - our own names
            assert [row["command_id"] for row in rows] == ["new", "open"]


async def test_a_period_that_cannot_go_holds_up_neither_other_periods_nor_commands_nor_the_service(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "EVERY", 0.01)
    monkeypatch.setattr(loop, "_PAUSE", (0.01, 0.05))
    await write(database, *ALL)
    async with database.connection() as connection:
        await connection.execute("CREATE VIEW report AS SELECT task_id FROM completed_tasks_2")
        await connection.execute(OLD_COMMANDS)
    await pass_days(database, 6)
    await keep_round(database)
    await pass_days(database, 31)
    retention = Retention(database, KEEP, timedelta(days=365))
    async with background(retention.run), database.connection() as connection:

        async def all_else_is_gone() -> bool:
            tables = "SELECT to_regclass('failed_tasks_2') IS NULL"
            commands = "NOT EXISTS (SELECT FROM commands WHERE command_id = 'old')"
            return bool(await connection.fetchval(f"{tables} AND {commands}"))

        await eventually(all_else_is_gone, "all that can go is gone")

        async def the_reason_is_told() -> bool:
            return "report" in caplog.text

        await eventually(the_reason_is_told, "the log says what is in the way")
        await connection.execute("DROP VIEW report")
        await eventually(lambda: connection.fetchval("SELECT to_regclass('completed_tasks_2') IS NULL"), "it is gone")
        assert await connection.fetch(DIFFERENCE) == []


async def test_periods_that_go_under_load_with_cancels_lose_nothing(
    client: httpx.AsyncClient, database: Database
) -> None:
    ended = asyncio.Event()
    written: list[str] = []

    async def tasks_come_and_go(member: int) -> None:
        while not ended.is_set():
            task_id = f"m{member}-{len(written)}"
            life = Life(task_id)
            run = life.run(2)
            await write(database, life.received(1), run.started())
            command = CancelTask(
                command_id=f"c-{task_id}", task_id=task_id, issued_by="a", issued_at=after(3), expires_at=after(60)
            )
            async with database.transaction() as connection:
                await write_commands(connection, [audit(command)])
            await write(database, run.cancelled(4) if member else run.succeeded(4))
            written.append(task_id)

    async def list_again_and_again() -> None:
        while not ended.is_set():
            assert "open" in await shown(client, host=HOST, status="running")

    await write(database, *ALL)
    load = [asyncio.create_task(work) for work in (tasks_come_and_go(0), tasks_come_and_go(1), list_again_and_again())]
    for days in (6, 6, 6, 31):
        await _more(written)
        await pass_days(database, days)
        await keep_round(database)
    kept_from = len(written)
    await _more(written)
    ended.set()
    await asyncio.gather(*load)
    async with database.connection() as connection:
        there = await places(connection)
        assert "done" not in there
        assert "open" in there
        assert set(written[kept_from:]) <= set(there)
        assert await connection.fetch(DIFFERENCE) == []
        logs = (
            "SELECT count(*) FROM tasks AS t WHERE NOT EXISTS (SELECT FROM task_logs AS l WHERE l.task_id = t.task_id)"
        )
        assert await connection.fetchval(logs) == 0


async def _more(written: list[str]) -> None:
    before = len(written)

    async def look() -> bool:
        return len(written) > before + 10

    await eventually(look, "tasks come and go")


async def _waits(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
