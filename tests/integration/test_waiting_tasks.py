"""A host asked about waiting tasks: those that its workers hold or its queues have are seen, purged ones are absent."""

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signalbox.bus.waiting import Question, WaitingTask, ask
from signalbox.messages.base import utc_now
from signalbox.messages.events import TaskReceived, WaitingCompared
from support.eventually import eventually
from support.host import ALICE, NAME, SHOP, Host, a_host
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

ONE = SHOP.replace("concurrency = 2", "concurrency = 1")


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    if request.param == "redis":
        return ""
    rabbit: RabbitMQ = request.getfixturevalue("rabbit")
    return rabbit.url_of(rabbit.next_place())


async def asked(host: Host, task_ids: Sequence[str]) -> datetime:
    """Ask the host about these, as tasks that its worker had; the time of the question."""
    asked_at = utc_now()
    node = f"worker@{NAME}"
    tasks = tuple(WaitingTask(task_id=task_id, host=NAME, worker=node, queue="celery") for task_id in task_ids)
    await ask(host.redis, Question(asked_at=asked_at, tasks=tasks))
    return asked_at


async def compared(host: Host, task_ids: Sequence[str]) -> WaitingCompared:
    """The answer of the host."""
    return await host.seen(WaitingCompared, asked_at=await asked(host, task_ids))


async def absent(host: Host, task_ids: Sequence[str]) -> None:
    """Ask until the host misses all of these: a question that comes while a worker dies or starts has no answer."""
    since = utc_now()
    latest = await asked(host, task_ids)

    async def look() -> bool:
        nonlocal latest
        if utc_now() - latest > timedelta(seconds=2):
            latest = await asked(host, task_ids)
        answers = await host.of(WaitingCompared)
        return any(set(answer.absent) == set(task_ids) for answer in answers if answer.asked_at >= since)

    await eventually(look, "all are absent")


async def waiting(host: Host) -> list[str]:
    """Three tasks that the worker holds: two until their time has come, and one behind another that runs."""
    await host.process_is("worker", "running")
    task_ids = []
    for _ in range(2):
        later = await asyncio.to_thread(host.celery.send_task, "shop.reports.count_stock", countdown=600)
        task_ids.append(str(later.id))
        await host.seen(TaskReceived, task_id=task_ids[-1])
    await host.running()
    task_ids.append(await host.send("reports.count_stock", seconds=60.0))
    await host.seen(TaskReceived, task_id=task_ids[-1])
    return task_ids


async def test_what_a_worker_holds_is_seen(tmp_path: Path, valkey: Redis, broker: str) -> None:
    async with a_host(tmp_path / "host", valkey, ONE, broker) as host:
        task_ids = await waiting(host)
        answer = await compared(host, [*task_ids, "never-there"])
        assert set(answer.seen) == set(task_ids)
        assert answer.absent == ("never-there",)


async def test_what_went_back_to_its_queue_is_not_absent_and_what_was_purged_is(
    tmp_path: Path, valkey: Redis, broker: str
) -> None:
    async with a_host(tmp_path / "host", valkey, ONE, broker) as host:
        task_ids = await waiting(host)
        await host.commander.stop(ALICE, mode="immediate")
        answer = await compared(host, task_ids)
        assert answer.absent == ()
        if not broker:  # AMQP has no way to look into a queue
            assert set(answer.seen) == set(task_ids)
        host.celery.control.purge()
        await absent(host, task_ids)
        await host.commander.start(ALICE)
        await absent(host, task_ids)


async def test_an_emptied_broker_is_noticed_once_the_worker_is_gone(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, ONE) as host:
        task_ids = await waiting(host)
        host.celery.connection_for_write().default_channel.client.flushdb()
        assert set((await compared(host, task_ids)).seen) == set(task_ids)  # the worker has them, and runs them
        os.kill(await host.pid("worker"), signal.SIGKILL)
        await absent(host, task_ids)


async def test_a_host_says_nothing_while_a_worker_does_not_list_what_it_holds(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, ONE) as host:
        task_ids = await waiting(host)
        worker = await host.pid("worker")
        os.kill(worker, signal.SIGSTOP)
        await asked(host, task_ids)
        await host.process_is("worker", "unknown")
        assert await host.of(WaitingCompared) == []
        os.kill(worker, signal.SIGCONT)
        await host.process_is("worker", "running")
        assert set((await compared(host, task_ids)).seen) == set(task_ids)
        assert all(answer.absent == () for answer in await host.of(WaitingCompared))
