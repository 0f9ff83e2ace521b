"""A cancel is recorded in few round trips, and its proof does not wait for more events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.publisher import publish_events
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyEvent, CommandDone, HostSeen
from signalbox.postgres.pool import Database
from signalbox.service import background
from signalbox_reconciler import intake
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import ChangedViews, write_batch, write_commands
from signalbox_reconciler.store.commands import _WITH_ANSWERS
from support.counting import counted
from support.eventually import eventually
from support.history import HOST, Life, after

RUN = Life().run(2)
COMMAND = CancelTask(
    command_id="c1", task_id=Life().task_id, issued_by="alice", issued_at=after(3), expires_at=after(60), reason=""
)
DONE = CommandDone(at=after(4), host=HOST, command_id="c1", verdict="cancelled", task_id=Life().task_id)


async def record(database: Database, *events: AnyEvent) -> tuple[int, ChangedViews]:
    async with counted(database) as connection:
        changed = await write_batch(connection, fold(events))
    return connection.trips, changed


async def test_the_proof_and_the_audit_of_a_cancel_take_few_round_trips(database: Database) -> None:
    started, _ = await record(database, Life().received(1), RUN.started())
    async with counted(database) as connection:
        await write_commands(connection, [audit(COMMAND)])
    proof, changed = await record(database, RUN.cancelled(4), DONE)
    assert (started, connection.trips, proof) == (2, 6, 8)
    assert {change.kind for change in changed.changes()} == {"task", "log", "command"}
    async with database.connection() as plain:
        [command] = await plain.fetch("SELECT state, tasks_done FROM commands")
        [task] = await plain.fetch("SELECT status, outcome, cancel_command_id FROM tasks")
    assert dict(command) == {"state": "cancelled", "tasks_done": 1}
    assert dict(task) == {"status": "failed", "outcome": "cancelled", "cancel_command_id": "c1"}


async def test_the_hosts_that_are_to_answer_are_read_once_however_many_have_answered(database: Database) -> None:
    hosts = [f"web-{number:02}" for number in range(30)]
    await record(database, *(HostSeen(at=after(1), host=host) for host in hosts))
    async with counted(database) as connection:
        await write_commands(connection, [audit(COMMAND)])
    unknown = [
        CommandDone(at=after(4), host=host, command_id="c1", verdict="unknown", task_id=COMMAND.task_id)
        for host in hosts
    ]
    await record(database, *unknown[1:])
    async with database.connection() as plain:
        rows = await plain.fetch(_WITH_ANSWERS, ["c1"])
        [before] = await plain.fetch("SELECT state FROM commands")
    assert [row["expected"] and sorted(row["expected"]) for row in rows] == [hosts] + [None] * 28
    assert before["state"] == "issued"
    await record(database, unknown[0])
    async with database.connection() as plain:
        [after_all] = await plain.fetch("SELECT state FROM commands")
    assert after_all["state"] == "unknown"


@asynccontextmanager
async def reading(redis: Client, database: Database, commanded_at: Callable[[], float]) -> AsyncIterator[None]:
    feed = intake.event_feed(redis, database, "one", Intents(redis, database, 60.0), commanded_at)
    async with background(feed.run):
        yield


async def unread(redis: Client) -> int:
    groups = await redis.xinfo_groups(names.EVENTS)
    return int(groups[0]["lag"]) if groups else 1


async def test_events_are_gathered_and_a_proof_is_not(
    redis: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "GATHER", 3600.0)
    await publish_events(redis, [Life().received(1)])
    async with reading(redis, database, lambda: -3600.0):
        await eventually(lambda: _all_read(redis), "the first event is recorded")
        await publish_events(redis, [RUN.started()])
        for _ in range(20):
            await redis.ping()
        assert await unread(redis) == 1

    async with reading(redis, database, asyncio.get_running_loop().time):
        await eventually(lambda: _all_read(redis), "what waited is recorded")
        await publish_events(redis, [RUN.cancelled(4), DONE])
        await eventually(lambda: _all_read(redis), "the proof is recorded")


async def _all_read(redis: Client) -> bool:
    groups = await redis.xinfo_groups(names.EVENTS)
    return bool(groups) and groups[0]["lag"] == groups[0]["pending"] == 0
