"""RabbitMQ as Celery's broker: what differs from Redis, and what must not."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from signalbox.messages.events import ProcessChanged, TaskFailed, TaskReceived, TaskStarted
from signalbox_local.ports import free_port
from support.eventually import HANGS
from support.host import ALICE, NAME, ROOT, SHOP, a_host, exists
from support.relay import a_relay
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

ONE = SHOP.replace("concurrency = 2", "concurrency = 1")


@pytest.fixture
def broker(rabbit: RabbitMQ) -> str:
    """The address of a virtual host that nobody has used."""
    return rabbit.url_of(rabbit.next_place())


@asynccontextmanager
async def a_worker_by_hand(broker: str, results: str) -> AsyncIterator[None]:
    """One that somebody started in a shell, under the node name of ours; killed with the body."""
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-n", f"worker@{NAME}", "-c", "1", "-l", "INFO"]
    environ = os.environ | {"SHOP_BROKER_URL": broker, "SHOP_RESULT_BACKEND": results}
    worker = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT / "examples", env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert worker.stderr is not None
    try:
        async with asyncio.timeout(HANGS):
            while b"ready." not in (line := await worker.stderr.readline()):
                assert line, "the worker ended"
        yield
    finally:
        worker.kill()
        async with asyncio.timeout(HANGS):
            await worker.communicate()


async def test_a_cancelled_task_dies_and_one_that_waits_behind_it_never_runs(
    tmp_path: Path, valkey: Redis, broker: str
) -> None:
    async with a_host(tmp_path / "host", valkey, ONE, broker) as host:
        await host.process_is("worker", "running")
        task = await host.running("stubborn.ignore_term", seconds=60.0)
        prefetched = await host.send("reports.count_stock", seconds=60.0)
        await host.seen(TaskReceived, task_id=prefetched)
        queued = [await host.send("reports.count_stock", seconds=60.0) for _ in range(6)]
        for task_id in (prefetched, *queued):
            await host.commander.cancel(task_id, ALICE)
        result = await host.commander.cancel(task.task_id, ALICE, grace=0.5)
        assert (result.verdict, exists(task.pid)) == ("cancelled", False)
        after = await host.running("reports.count_stock", seconds=60.0)
        started = {event.task_id for event in await host.of(TaskStarted)}
        assert started == {task.task_id, after.task_id}


async def test_a_node_name_that_rabbitmq_still_holds_is_waited_for(tmp_path: Path, valkey: Redis, broker: str) -> None:
    limited = SHOP.replace('name = "worker"', 'name = "worker"\nrestart_limit = 1')
    async with a_host(tmp_path / "host", valkey, limited, broker) as host:
        await host.process_is("worker", "running")
        await host.commander.stop(ALICE, mode="immediate")
        async with a_worker_by_hand(broker, valkey.url_of(1)):
            starting = host.begin(host.commander.start(ALICE))
            held = await host.seen(ProcessChanged, name="worker", state="backoff")
            assert f"the broker holds the name worker@{NAME} for another worker" in held.message
            assert "RESOURCE_LOCKED" in held.message
            await starting
        await host.process_is("worker", "running")


async def test_tasks_of_a_killed_worker_are_lost_within_a_second(tmp_path: Path, valkey: Redis, broker: str) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP, broker) as host:
        await host.process_is("worker", "running")
        task = await host.running("reports.count_stock", seconds=60.0)
        os.kill(await host.pid("worker"), signal.SIGKILL)
        failed = await host.seen(TaskFailed, task_id=task.task_id)
        assert (failed.outcome, exists(task.pid)) == ("worker_lost", False)
        assert "signal 9" in failed.error


async def test_a_worker_outlives_the_loss_of_rabbitmq_and_consumes_again(
    tmp_path: Path, valkey: Redis, rabbit: RabbitMQ, broker: str
) -> None:
    port = free_port()
    there = broker.replace(f":{rabbit.port}/", f":{port}/")
    async with a_host(tmp_path / "host", valkey, SHOP, broker, SHOP_BROKER_URL=there) as host:
        async with a_relay("127.0.0.1", broker, port):
            worker = (await host.process_is("worker", "running")).pid
            task = await host.running("reports.count_stock", seconds=60.0)
        assert "broker is away" in (await host.process_is("worker", "starting")).message
        assert (await host.commander.cancel(task.task_id, ALICE)).verdict == "cancelled"
        assert not exists(task.pid)
        async with a_relay("127.0.0.1", broker, port):
            assert (await host.process_is("worker", "running")).pid == worker
            await host.running("reports.count_stock", seconds=60.0)
            await host.commander.stop(ALICE, mode="immediate")
