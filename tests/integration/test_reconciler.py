"""The reconciler as a process, between a real Redis and a real PostgreSQL that come and go."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.bus import names
from signalbox.messages.events import AnyTaskEvent, CommandDone, HostSeen
from signalbox.messages.receipts import Recorded
from signalbox.postgres.pool import Database
from support.eventually import HANGS, eventually
from support.history import HOST, KILLED, Life, after
from support.reconciler import Recording, a_recording
from support.stores.server import Postgres, Redis

RUN = Life().run(2)


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as recording:
        yield recording


def a_life(number: int) -> list[AnyTaskEvent]:
    life = Life(f"task-{number}")
    run = life.run(2)
    return [life.received(1), run.started(), run.succeeded(3)]


async def expect_all_recorded(recording: Recording, count: int) -> None:
    """All lives are there once, each with its one log, and nothing is left on the bus."""
    await recording.nothing_pending()
    whole = "SELECT count(*) AS n FROM tasks JOIN task_logs USING (task_id, run, status, started_at, finished_at)"
    for query in (f"{whole} WHERE status = 'completed' AND task_logs.attempt = 1", "SELECT count(*) AS n FROM tasks"):
        assert await recording.rows(query) == [{"n": count}]
    assert await recording.rows("SELECT count(*) AS n FROM task_logs") == [{"n": count}]


async def test_what_is_told_on_the_bus_is_in_the_record_and_told_to_the_browsers(recording: Recording) -> None:
    await recording.start()
    await recording.tell(Life().received(1), RUN.started())
    running = await recording.task("running")
    assert (running["pid"], running["host"], running["attempt"]) == (100, HOST, 1)
    assert [task["status"] for task in await recording.changed("task")] == ["running"]

    await recording.tell(RUN.cancelled(4))
    task = await recording.task("failed")
    assert (task["outcome"], task["error"], task["finished_at"]) == ("cancelled", KILLED, after(4))
    [log] = await recording.rows("SELECT * FROM task_logs")
    assert (log["status"], log["error"], log["finished_at"]) == ("failed", KILLED, after(4))
    [change] = await recording.changed("log")
    assert (change["log_id"], change["status"], change["error"]) == (log["log_id"], "failed", KILLED)
    await recording.nothing_pending()


async def test_who_gave_a_command_hears_when_it_is_in_the_record(recording: Recording) -> None:
    await recording.start()
    done = CommandDone(at=after(4), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
    await recording.tell(RUN.started(), RUN.cancelled(4), done)
    receipt = await recording.receipt("c1")
    assert isinstance(receipt, Recorded)
    assert receipt.host == HOST
    assert await recording.rows("SELECT status FROM tasks") == [{"status": "failed"}]


async def test_what_happened_while_postgresql_was_away_is_recorded_once_it_is_back(
    recording: Recording, postgres_server: Postgres
) -> None:
    reconciler = await recording.start()
    await recording.tell(*a_life(0), RUN.started())
    await recording.task("running")
    await postgres_server.stop()
    try:
        await recording.tell(RUN.cancelled(4))
        await recording.tell_many(a_life(number) for number in range(1, 200))
        await reconciler.says("waiting, nothing is lost")
    finally:
        await postgres_server.start()
    assert (await recording.task("failed"))["error"] == KILLED
    await recording.shows("SELECT 1 FROM tasks HAVING count(*) = 201")
    await recording.nothing_pending()
    assert reconciler.log.count("events: waiting, nothing is lost") == 1
    assert {task["status"] for task in await recording.changed("task")} >= {"running", "failed", "completed"}


async def test_a_reconciler_that_is_killed_in_the_middle_loses_and_doubles_nothing(recording: Recording) -> None:
    count = 1500
    telling = asyncio.create_task(recording.tell_many(a_life(number) for number in range(count)))
    for _ in range(3):
        reconciler = await recording.start()
        await recording.shows("SELECT 1 FROM tasks")
        await reconciler.end(signal.SIGKILL)
    await telling
    await recording.start()
    await expect_all_recorded(recording, count)


async def test_two_reconcilers_share_the_work_and_one_of_them_may_die(recording: Recording) -> None:
    count = 1500
    await recording.start(SIGNALBOX_HOSTNAME="one")
    doomed = await recording.start(SIGNALBOX_HOSTNAME="two")
    telling = asyncio.create_task(recording.tell_many(a_life(number) for number in range(count)))
    await recording.shows("SELECT 1 FROM tasks HAVING count(*) > 500")
    members = await recording.redis.xinfo_consumers(names.EVENTS, names.RECONCILER_GROUP)
    assert {member["name"].split(b"-")[0] for member in members} == {b"one", b"two"}
    await doomed.end(signal.SIGKILL)
    await telling
    await expect_all_recorded(recording, count)


async def test_an_emptied_redis_does_not_stop_it(recording: Recording) -> None:
    reconciler = await recording.start()
    await recording.tell(*a_life(0))
    await recording.task("completed", "task-0")
    await recording.redis.flushall()
    await recording.tell(*a_life(1))
    await recording.task("completed", "task-1")
    assert reconciler.running


async def test_a_redis_that_was_away_does_not_stop_it(recording: Recording, valkey: Redis) -> None:
    reconciler = await recording.start()
    await recording.tell(*a_life(0))
    await recording.task("completed", "task-0")
    await valkey.kill()
    await reconciler.says("waiting, nothing is lost")
    await valkey.start()
    await recording.tell(*a_life(1))
    await recording.task("completed", "task-1")
    assert reconciler.running


async def test_what_the_record_cannot_take_goes_to_the_dead_letters_and_stops_nobody_else(recording: Recording) -> None:
    monster = Life("monster").run(2, pid=2**40)
    await recording.tell(*a_life(0), monster.started(), *a_life(1))
    riddle = b'{"type":"Riddle"}'
    await recording.redis.xadd(names.EVENTS, {"data": riddle})
    await recording.tell(*a_life(2))
    await recording.start()
    await expect_all_recorded(recording, 3)
    dead = await recording.dead()
    assert "Riddle" in dead[riddle]
    [failed] = [reason for data, reason in dead.items() if b"monster" in data]
    assert "failed 5 times" in failed


async def test_events_that_redis_had_to_drop_are_reported_and_stop_nobody(
    recording: Recording, postgres_server: Postgres
) -> None:
    reconciler = await recording.start()
    await postgres_server.stop()
    try:
        await recording.tell(*a_life(0))
        await reconciler.says("events: waiting, nothing is lost")
        await recording.redis.xtrim(names.EVENTS, maxlen=0, approximate=False)
        await recording.tell(*a_life(1))
    finally:
        await postgres_server.start()
    await reconciler.says("3 entries were dropped from the bus before they were recorded")
    await recording.task("completed", "task-1")
    await recording.nothing_pending()
    assert await recording.dead() == {}


async def test_a_character_that_postgresql_cannot_store_is_replaced(recording: Recording) -> None:
    await recording.start()
    await recording.tell(Life().received(1, args="('a\x00b',)"))
    assert (await recording.task("pending"))["args"] == "('a\ufffdb',)"


async def test_events_that_everybody_has_handled_are_removed_from_redis(recording: Recording) -> None:
    await recording.start()
    for begin in range(0, 3000, 500):
        await recording.tell(*(event for number in range(begin, begin + 500) for event in a_life(number)))
    await expect_all_recorded(recording, 3000)

    async def look() -> bool:
        return await recording.redis.xlen(names.EVENTS) < 500

    await eventually(look, "a short stream")
    assert await recording.rows("SELECT count(*) AS n FROM tasks") == [{"n": 3000}]


async def test_events_that_another_group_has_yet_to_read_are_kept(recording: Recording) -> None:
    await recording.redis.xgroup_create(names.EVENTS, "archive", id="0", mkstream=True)
    reconciler = await recording.start()
    await recording.tell(*(event for number in range(500) for event in a_life(number)))
    await recording.shows("SELECT 1 FROM tasks HAVING count(*) = 500")
    await reconciler.says("swept")
    assert await recording.redis.xlen(names.EVENTS) == 1500


async def test_it_waits_for_a_postgresql_that_comes_later_and_can_be_stopped_meanwhile(
    recording: Recording, postgres_server: Postgres
) -> None:
    await postgres_server.stop()
    try:
        impatient = recording.launch()
        await impatient.says("waiting for PostgreSQL")
        assert await impatient.end() == 0
        patient = recording.launch()
        await patient.says("waiting for PostgreSQL")
    finally:
        await postgres_server.start()
    await patient.says("ready")


async def test_it_stops_when_told_to(recording: Recording) -> None:
    reconciler = await recording.start()
    await recording.tell(HostSeen(at=after(1), host=HOST))
    await recording.shows("SELECT * FROM hosts WHERE state = 'online'")
    assert await reconciler.end() == 0


def test_without_a_database_it_says_what_to_set(valkey: Redis) -> None:
    environ = {"SIGNALBOX_REDIS_URL": valkey.url, "SIGNALBOX_KEY": "k" * 32}
    command = [sys.executable, "-m", "signalbox_reconciler"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=HANGS, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("signalbox-reconciler: SIGNALBOX_DATABASE_URL is not set")
    assert "Traceback" not in done.stderr


async def test_tables_that_do_not_fit_are_said_and_nothing_is_written(recording: Recording, database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE signalbox_migrations SET checksum = 'another' WHERE service = 'reconciler'")
    reconciler = recording.launch()
    assert await reconciler.ended() == 2
    assert "0001_record was changed after it had been applied" in reconciler.log
    assert "Traceback" not in reconciler.log


async def test_tables_that_are_away_for_a_while_cost_no_event(recording: Recording, database: Database) -> None:
    reconciler = await recording.start()
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE tasks RENAME TO hidden")
    await recording.tell(*a_life(0))
    await reconciler.says('relation "tasks" does not exist')
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE hidden RENAME TO tasks")
    await expect_all_recorded(recording, 1)
    assert await recording.dead() == {}


async def test_it_can_bring_the_tables_up_to_date_and_do_nothing_else(
    valkey: Redis, empty_database_url: str, tmp_path: Path
) -> None:
    async with a_recording(valkey, empty_database_url, tmp_path) as recording:
        command = [sys.executable, "-m", "signalbox_reconciler", "--migrate-only"]
        run = await asyncio.create_subprocess_exec(*command, env=recording.environ)
        assert await asyncio.wait_for(run.wait(), HANGS) == 0
        assert await recording.rows("SELECT count(*) AS n FROM tasks") == [{"n": 0}]
