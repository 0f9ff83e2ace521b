"""Heartbeats that say nothing new: one statement notes them, they wait for each other, and they hide nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.publisher import publish_events
from signalbox.errors import DatabaseConflict
from signalbox.messages.base import ProcessState
from signalbox.messages.events import AnyEvent, CommandDone, HostLeft, HostSeen, ProcessChanged
from signalbox.messages.views import Change
from signalbox.postgres.pool import Connection, Database
from signalbox.service import background
from signalbox_reconciler import intake
from signalbox_reconciler import reading as readings
from signalbox_reconciler.fold import fold
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.checks import check_hosts
from signalbox_reconciler.store.views import ChangedViews
from support.counting import counted
from support.eventually import eventually
from support.history import HOST, Life, after
from support.stores.server import Redis

RUN = Life().run(2)


def worker(seconds: float, host: str = HOST, state: ProcessState = "running", name: str = "worker") -> ProcessChanged:
    return ProcessChanged(at=after(seconds), host=host, name=name, kind="worker", state=state, desired="running")


def beat(seconds: float, host: str = HOST, **other: Any) -> HostSeen:
    return HostSeen(at=after(seconds), host=host, processes=(worker(seconds, host),), **other)


async def write(database: Database, *events: AnyEvent, repeated: Sequence[HostSeen] = ()) -> tuple[int, list[Change]]:
    async with counted(database) as connection:
        changed = await write_batch(connection, fold(events), repeated=repeated)
    return connection.trips, changed.changes()


async def all_of(database: Database, query: str) -> list[dict[str, Any]]:
    async with database.connection() as connection:
        return [dict(row) for row in await connection.fetch(query)]


async def test_any_number_of_repeated_heartbeats_takes_as_many_round_trips_as_one(database: Database) -> None:
    hosts = [f"web-{number}" for number in range(30)]
    await write(database, *(beat(1, host) for host in hosts))
    one, _ = await write(database, repeated=[beat(3, hosts[0])])
    many, changes = await write(database, repeated=[beat(3, host) for host in hosts])
    assert (one, many, changes) == (2, 2, [])
    assert {row["at"] for row in await all_of(database, "SELECT at FROM hosts")} == {after(3)}


async def test_many_heartbeats_in_full_take_as_many_round_trips_as_one(database: Database) -> None:
    one, _ = await write(database, beat(1))
    many, _ = await write(database, *(beat(1, f"web-{number}") for number in range(30)))
    assert one == many


async def test_a_repeated_heartbeat_of_a_host_that_was_called_away_shows_it_with_its_processes(
    database: Database,
) -> None:
    await write(database, beat(1))
    async with database.transaction() as connection:
        await connection.execute("UPDATE hosts SET heard_at = now() - interval '11 seconds'")
        await check_hosts(connection, ChangedViews())
    [process] = await all_of(database, "SELECT state FROM processes")
    assert process == {"state": "unknown"}
    _, changes = await write(database, repeated=[beat(3)])
    assert sorted(change.kind for change in changes) == ["host", "process"]
    [row] = await all_of(database, "SELECT h.state, p.state AS process FROM hosts AS h JOIN processes AS p ON true")
    assert row == {"state": "online", "process": "running"}


async def test_a_repeated_heartbeat_is_compared_with_the_runs_in_the_record(database: Database) -> None:
    await write(database, beat(0), RUN.started())
    for seconds in (10, 20, 30):
        await write(database, repeated=[beat(seconds)])
    [task] = await all_of(database, "SELECT status, outcome, confirmed FROM tasks")
    assert task == {"status": "failed", "outcome": "worker_lost", "confirmed": False}


async def test_a_sweep_that_waits_for_a_heartbeat_leaves_its_processes_alone(database: Database) -> None:
    async def sweep() -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE hosts SET heard_at = now() - interval '11 seconds' WHERE state = 'online'")
            await check_hosts(connection, ChangedViews())

    await write(database, beat(1))
    await sweep()
    await write(database, worker(2))
    async with database.transaction() as beating:
        await write_batch(beating, fold([]), repeated=[beat(3)])
        other = asyncio.create_task(sweep())
        await eventually(lambda: _waits(database), "the sweep waits for the heartbeat")
    await other
    [row] = await all_of(database, "SELECT h.state, p.state AS process FROM hosts AS h JOIN processes AS p ON true")
    assert row == {"state": "online", "process": "running"}


def _batch(*events: AnyEvent) -> Callable[[Connection], Awaitable[object]]:
    return lambda connection: write_batch(connection, fold(events))


CANCELLED = CommandDone(at=after(30), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
LISTED = (("t1", RUN.key),)
#: What changes a run and its host, in one transaction, and the runs that the host listed before.
WRITERS = {
    "a controller that leaves": (_batch(HostLeft(at=after(40), host=HOST)), LISTED),
    "a heartbeat without the run": (_batch(beat(40)), ()),
    "a verdict and a heartbeat": (_batch(CANCELLED, beat(40, running=LISTED)), LISTED),
}


@pytest.mark.parametrize("writer", WRITERS)
async def test_whoever_writes_a_run_and_its_host_locks_the_run_first(database: Database, writer: str) -> None:
    """Else it and a batch that has locked the task would each wait for the other.

    The first writer gives the run up, so that its task moves, and who waits for that begins anew, as a feed does.
    """
    await write(database, beat(0), RUN.started())
    change, listed = WRITERS[writer]
    await write(database, beat(20, running=listed))

    async def other() -> None:
        async with database.transaction() as connection:
            await change(connection)

    async def again_after_a_conflict() -> None:
        try:
            await other()
        except DatabaseConflict as conflict:
            if "moved to another partition" not in str(conflict):
                raise  # a deadlock
            await other()

    async with database.transaction() as first:
        await write_batch(first, fold([RUN.signalled(21)]))
        waiting = asyncio.create_task(again_after_a_conflict())
        await eventually(lambda: _waits(database), "the other waits for the task")
        await write_batch(first, fold([]), repeated=[beat(30)])
    await waiting


async def test_a_sweep_locks_the_runs_of_silent_hosts_before_the_hosts(database: Database) -> None:
    await write(database, beat(0), RUN.started())
    async with database.connection() as connection:
        await connection.execute("UPDATE hosts SET heard_at = now() - interval '11 seconds'")

    async def sweep() -> None:
        async with database.transaction() as connection:
            await check_hosts(connection, ChangedViews())

    async with database.transaction() as first:
        await write_batch(first, fold([RUN.signalled(21)]))
        waiting = asyncio.create_task(sweep())
        await eventually(lambda: _waits(database), "the sweep waits for the task")
        await write_batch(first, fold([]), repeated=[beat(30)])
    await waiting
    assert await all_of(database, "SELECT state FROM hosts") == [{"state": "online"}]


async def test_hosts_are_locked_in_the_order_of_their_names(database: Database) -> None:
    await write(database, beat(1, "web-01"), beat(1, "web-02"))

    async def other() -> None:
        await write(database, beat(5, "web-01", proof_detail="new"), repeated=[beat(5, "web-02")])

    async with database.transaction() as first:
        await write_batch(first, fold([]), repeated=[beat(3, "web-01")])
        waiting = asyncio.create_task(other())
        await eventually(lambda: _waits(database), "the other waits for the first host")
        await write_batch(first, fold([]), repeated=[beat(3, "web-02")])
    await waiting


async def _waits(database: Database) -> bool:
    return bool(await all_of(database, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Client]:
    async with aclosing(connect(valkey.url)) as client:
        yield client


@pytest.fixture
def waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "WAIT", 3600.0)


@asynccontextmanager
async def reading(redis: Client, database: Database) -> AsyncIterator[None]:
    events = intake.event_feed(redis, database, "one", Intents(redis, database, 60.0))
    async with background(events.run):
        yield


async def state_of(redis: Client) -> tuple[int, int]:
    """The entries that are unread, and those that are read and not acknowledged."""
    groups = await redis.xinfo_groups(names.EVENTS)
    return (int(groups[0]["lag"]), int(groups[0]["pending"])) if groups else (-1, -1)


async def becomes(redis: Client, unread: int, pending: int) -> None:
    async def look() -> bool:
        return await state_of(redis) == (unread, pending)

    await eventually(look, f"{unread} unread, {pending} pending")
    for _ in range(50 if pending else 0):  # it is not only being written
        assert await state_of(redis) == (unread, pending)


@pytest.mark.usefixtures("waits_for_ever")
async def test_a_repeated_heartbeat_waits_for_the_next_event_and_never_longer_than_its_host(
    redis: Client, database: Database
) -> None:
    await publish_events(redis, [beat(1)])
    async with reading(redis, database):
        await becomes(redis, 0, 0)
        await publish_events(redis, [beat(3)])
        await becomes(redis, 0, 1)
        await publish_events(redis, [worker(4, host="web-08")])
        await becomes(redis, 0, 0)
        await publish_events(redis, [beat(5)])
        await becomes(redis, 0, 1)
        await publish_events(redis, [HostLeft(at=after(6), host=HOST)])
        await becomes(redis, 0, 0)
    [host] = await all_of(database, "SELECT state, at FROM hosts")
    assert host == {"state": "offline", "at": after(6)}


@pytest.mark.usefixtures("waits_for_ever")
async def test_what_waits_is_decided_anew_when_it_is_written(redis: Client, database: Database) -> None:
    """The heartbeat repeats what was said when it is read, and no longer when it is written."""
    await publish_events(redis, [beat(1)])
    async with reading(redis, database):
        await becomes(redis, 0, 0)
        await publish_events(redis, [beat(6)])
        await becomes(redis, 0, 1)
        await publish_events(redis, [worker(5, state="stopping")])
        await becomes(redis, 0, 0)
    [process] = await all_of(database, "SELECT state, at FROM processes")
    assert process == {"state": "running", "at": after(6)}


@pytest.mark.usefixtures("waits_for_ever")
async def test_a_heartbeat_that_waits_is_not_lost_with_its_reconciler(redis: Client, database: Database) -> None:
    await publish_events(redis, [beat(1)])
    async with reading(redis, database):
        await becomes(redis, 0, 0)
        await publish_events(redis, [beat(3)])
        await becomes(redis, 0, 1)
    async with reading(redis, database):
        await becomes(redis, 0, 0)
    assert await all_of(database, "SELECT at FROM hosts") == [{"at": after(3)}]


async def test_repeated_heartbeats_are_written_although_nothing_else_happens(redis: Client, database: Database) -> None:
    await publish_events(redis, [beat(1)])
    async with reading(redis, database):
        await becomes(redis, 0, 0)
        await publish_events(redis, [beat(3)])
        await becomes(redis, 0, 0)
    assert await all_of(database, "SELECT at FROM hosts") == [{"at": after(3)}]
