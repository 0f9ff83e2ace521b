"""A bus that forgets what it had taken loses no end of a task: its host tells it again until the record has it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis as Client
from redis.exceptions import ResponseError

from signalbox.bus import names
from signalbox.bus.confirmations import read_confirmation
from signalbox.bus.connection import connect
from signalbox.messages.base import utc_now
from signalbox.messages.events import HostSeen, TaskSucceeded
from signalbox.service import background
from signalbox_controller.state.kept_events import KeptEvents
from signalbox_controller.state.outbox import Outbox
from signalbox_controller.state.replay import Replay
from support.eventually import HANGS, eventually
from support.history import HOST, Life
from support.host import Host, a_host
from support.reconciler import Reconciler, Recording, a_recording
from support.stores.server import Redis


@pytest.fixture
async def host(valkey: Redis, tmp_path: Path) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as one:
        yield one


@asynccontextmanager
async def standing_still(reconciler: Reconciler) -> AsyncIterator[None]:
    """The reconciler reads nothing, as on a host without a processor to spare."""
    reconciler.send(signal.SIGSTOP)
    try:
        yield
    finally:
        reconciler.send(signal.SIGCONT)


async def all_ended(host: Host, task_ids: Sequence[str]) -> None:
    """Wait until the bus has every end."""
    for task_id in task_ids:
        await host.seen(TaskSucceeded, task_id=task_id)


async def copy_of(redis: Client) -> Mapping[bytes, bytes]:
    """What a backup of Redis holds, as far as it concerns us."""
    keys = [key async for key in redis.scan_iter("signalbox:*")]
    return {key: cast("bytes", await redis.dump(key)) for key in keys}


async def set_back(redis: Client, backup: Mapping[bytes, bytes]) -> None:
    """Redis is restored from the backup."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.flushdb()
        for key, value in backup.items():
            pipe.restore(key, 0, value)
        await pipe.execute()


async def test_ends_that_an_emptied_bus_had_taken_are_in_the_record(host: Host, recording: Recording) -> None:
    reconciler = await recording.start()
    running = [await host.send("reports.count_stock", seconds=1.5) for _ in range(2)]
    for task_id in running:
        await recording.task("running", task_id)
    waiting = [await host.send("reports.count_stock", seconds=0.1) for _ in range(3)]
    async with standing_still(reconciler):
        await all_ended(host, [*running, *waiting])
        await recording.redis.flushdb()
    for task_id in [*running, *waiting]:
        row = await recording.task("completed", task_id)
        assert (row["outcome"], row["confirmed"]) == ("succeeded", True)


async def test_ends_that_came_after_the_backup_of_a_bus_that_was_set_back_are_in_the_record(
    host: Host, recording: Recording
) -> None:
    reconciler = await recording.start()
    task_id = await host.send("reports.count_stock", seconds=1.5)
    await recording.task("running", task_id)
    async with standing_still(reconciler):
        backup = await copy_of(recording.redis)
        await all_ended(host, [task_id])
        await set_back(recording.redis, backup)
    assert (await recording.task("completed", task_id))["outcome"] == "succeeded"


async def test_what_a_killed_controller_had_acknowledged_and_not_published_is_published_by_the_next_one(
    valkey: Redis, recording: Recording, tmp_path: Path
) -> None:
    await recording.start()
    acknowledged = asyncio.Event()
    async with connected(valkey) as redis:
        killed = Outbox(redis, KeptEvents(tmp_path / "events"))  # which publishes nothing, as it does not run
        killed.put(Life("t1").run(1).succeeded(2), kept=acknowledged.set)
        await asyncio.wait_for(acknowledged.wait(), HANGS)
        async with background(Outbox(redis, KeptEvents(tmp_path / "events")).run):
            assert (await recording.task("completed"))["outcome"] == "succeeded"


async def test_a_host_keeps_nothing_that_the_record_has(host: Host, recording: Recording) -> None:
    await recording.start()
    task_id = await host.send("reports.count_stock", seconds=0.1)
    await recording.task("completed", task_id)

    async def forgotten() -> bool:
        files = list((host.data / "controller" / "events").iterdir())
        return not any(task_id.encode() in path.read_bytes() for path in files if path.exists())

    await eventually(forgotten, "no event of the task on disk")


async def test_what_is_not_on_disk_any_more_is_lost_with_a_word_and_holds_nothing_up(
    valkey: Redis, recording: Recording, tmp_path: Path
) -> None:
    """The bound of the disk was reached while the record was away, and then the bus was emptied, too."""
    kept, lives = KeptEvents(tmp_path / "events", segment=1, limit=2000), [Life(f"t{number}") for number in range(20)]
    async with connected(valkey) as redis:
        outbox, replay = Outbox(redis, kept), Replay(redis, kept, HOST)
        async with background(outbox.run, replay.run, lambda: heartbeats(redis, outbox, replay)):
            for life in lives:
                await outbox.published(life.run(1).succeeded(2))
            await redis.flushdb()
            reconciler = await recording.start()
            await recording.task("completed", "t19")
            await reconciler.says("had to drop")
            await eventually(lambda: all_confirmed(kept), "all is confirmed")
    recorded = await recording.rows("SELECT task_id FROM tasks")
    assert 0 < len(recorded) < len(lives)


async def test_an_event_that_nobody_can_read_is_told_once(valkey: Redis, recording: Recording, tmp_path: Path) -> None:
    kept = KeptEvents(tmp_path / "events")
    assert kept.append(kept.number(), [b"{}"])
    async with connected(valkey) as redis:
        outbox, replay = Outbox(redis, kept), Replay(redis, kept, HOST)
        async with background(outbox.run, replay.run, lambda: heartbeats(redis, outbox, replay)):
            await recording.start()
            outbox.put(Life("t1").run(1).succeeded(2))
            await recording.task("completed")
            await eventually(lambda: all_confirmed(kept), "all is confirmed")
    assert list(await recording.dead()) == [b"{}"]


@asynccontextmanager
async def connected(valkey: Redis) -> AsyncIterator[Client]:
    """A connection for the parts of a controller."""
    async with aclosing(connect(valkey.url)) as redis:
        yield redis


async def heartbeats(redis: Client, outbox: Outbox, replay: Replay) -> None:
    """What a controller does every two seconds, as soon as the last heartbeat is in the record, or lost."""

    async def handled() -> bool:
        try:
            groups = await redis.xinfo_groups(names.EVENTS)
        except ResponseError:  # there is no such stream any more
            return True
        return bool(groups) and not any(group["pending"] or group["lag"] for group in groups)

    while True:
        await outbox.published(HostSeen(at=utc_now(), host=HOST, numbers=outbox.numbers))
        await eventually(handled, "the heartbeat is in the record")
        assert outbox.numbers is not None
        if confirmation := await read_confirmation(redis, outbox.numbers.epoch):
            replay.follow(confirmation)


async def all_confirmed(kept: KeptEvents) -> bool:
    """Whether nothing is on disk any more."""
    return all(one.data is None for one in kept.between(1, kept.last))
