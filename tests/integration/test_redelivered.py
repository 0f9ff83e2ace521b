"""What becomes of a task that is acknowledged late, and that Redis hands out again while it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from redis.asyncio import Redis as Client

from signalbox.bus.connection import connect
from signalbox.errors import BusUnavailable
from signalbox.messages.events import (
    TaskCancelled,
    TaskDropped,
    TaskReceived,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from support.eventually import HANGS, eventually
from support.host import ALICE, lives
from support.logged_worker import LoggedWorker, a_logged_worker
from support.stores.choose import a_redis
from support.stores.server import Redis

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Redis]:
    async with a_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory, store: Redis) -> AsyncIterator[LoggedWorker]:
    async with a_logged_worker(tmp_path_factory.mktemp("redelivered"), store, concurrency=3) as one:
        yield one


async def blink(worker: LoggedWorker, store: Redis) -> None:
    """Redis loses all connections of the worker, which gives back what it has not acknowledged, and takes it again."""
    broker: Client = connect(store.url_of(1))
    try:
        before = {client["id"] for client in await broker.client_list()}
        await broker.client_kill_filter(_type="normal", skipme=True)

        async def look() -> bool:
            return len({client["id"] for client in await broker.client_list()} - before) > 1

        await eventually(look, "the worker is back")
    finally:
        await broker.aclose()
    neighbour = worker.send("neighbour")
    await worker.host.seen(TaskSucceeded, task_id=neighbour)


async def unacknowledged(store: Redis) -> int:
    """How many messages somebody has taken and not acknowledged."""
    broker: Client = connect(store.url_of(1))
    try:
        return int(await broker.hlen("unacked"))
    finally:
        await broker.aclose()


async def running(worker: LoggedWorker, seconds: float, how: str = "") -> TaskStarted:
    task_id = worker.send("long", seconds, how)
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    return await worker.host.seen(TaskStarted, task_id=task_id)


async def test_a_task_does_not_run_twice_because_redis_blinked(worker: LoggedWorker, store: Redis) -> None:
    started = await running(worker, 6.0)
    await blink(worker, store)
    assert await unacknowledged(store) == 1, "the broker did not hand it out again: nothing was tested"
    assert worker.words(started.task_id) == ["started"], "it ran meanwhile"
    done = await worker.host.seen(TaskSucceeded, task_id=started.task_id)
    assert done.run == started.run
    assert done.at - started.at < timedelta(seconds=9)

    async def look() -> bool:
        return await unacknowledged(store) == 0

    await eventually(look, "the second delivery is acknowledged with the first")
    await worker.host.seen(TaskSucceeded, task_id=worker.send("neighbour"))
    assert worker.words(started.task_id) == ["started", "finished"]
    assert len(await worker.host.of(TaskStarted, task_id=started.task_id)) == 1
    assert len(await worker.host.of(TaskReceived, task_id=started.task_id)) == 1


async def test_a_cancelled_task_does_not_come_back_after_a_blink(worker: LoggedWorker, store: Redis) -> None:
    started = await running(worker, 60.0)
    assert (await worker.host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    await blink(worker, store)
    assert worker.words(started.task_id) == ["started"]


async def test_a_task_that_was_handed_out_twice_is_cancelled_once_for_all(worker: LoggedWorker, store: Redis) -> None:
    started = await running(worker, 60.0)
    await blink(worker, store)
    assert (await worker.host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    assert not lives(started.pid)
    await blink(worker, store)
    assert worker.words(started.task_id) == ["started"]
    assert len(await worker.host.of(TaskCancelled, task_id=started.task_id)) == 1
    assert await unacknowledged(store) == 0


@pytest.mark.parametrize("order", ["blink, then cancel", "cancel, then blink"])
async def test_a_task_that_was_handed_out_twice_is_not_called_dropped_while_it_lives(
    worker: LoggedWorker, store: Redis, order: str
) -> None:
    started = await running(worker, 6.0, "swallows")
    if order == "blink, then cancel":
        await blink(worker, store)
    cancelling = worker.host.begin(worker.host.commander.cancel(started.task_id, ALICE, grace=30.0))
    await worker.host.seen(TaskSignalled, task_id=started.task_id)
    if order == "cancel, then blink":
        await blink(worker, store)
    with contextlib.suppress(BusUnavailable):  # whoever asked has lost that connection, too
        assert (await cancelling).verdict == "finished"
    await worker.host.seen(TaskSucceeded, task_id=started.task_id)
    await worker.host.seen(TaskSucceeded, task_id=worker.send("neighbour"))
    assert worker.words(started.task_id) == ["started", "finished"]
    assert not await worker.host.of(TaskDropped, task_id=started.task_id)
    assert worker.host.celery.AsyncResult(started.task_id).state == "SUCCESS"


async def test_what_a_stop_has_ended_does_not_come_back_after_a_blink(worker: LoggedWorker, store: Redis) -> None:
    started = await running(worker, 60.0)
    await blink(worker, store)
    await worker.host.commander.stop(ALICE, mode="immediate")
    assert not lives(started.pid)
    await worker.host.commander.start(ALICE)
    await blink(worker, store)
    assert worker.words(started.task_id) == ["started"]
