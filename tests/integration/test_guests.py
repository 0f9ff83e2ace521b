"""Workers that people launch as they always did, with Signalbox in them by one variable."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest

from signalbox.messages.events import HostSeen, ProcessChanged, TaskFailed, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, CELERY_DEADLINE, NAME, ROOT, Host, a_host, exists, lives
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

#: A host that launches a worker of its own on a queue that nobody uses.
APART = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[[apps.shop.workers]]
name = "worker"
queues = ["apart"]
concurrency = 1
"""
#: Seconds for a worker of celery to exit after TERM.
EXIT = 15.0


@contextmanager
def celery(host: Host, log: Path, *options: str, **environ: str) -> Iterator[psutil.Popen]:
    """`celery -A shop worker …`, as somebody types it; nothing is left of it afterwards."""
    program = Path(sys.executable).with_name("celery")
    results = host.celery.conf.result_backend
    environment = os.environ | {"SHOP_BROKER_URL": host.broker, "SHOP_RESULT_BACKEND": results} | environ
    line = [program, "-A", "shop", "worker", "-c", "2", "-l", "INFO", *options]
    with log.open("ab") as output:
        process = psutil.Popen(line, cwd=ROOT / "examples", env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for one in family:
            if one.is_running():
                one.kill()
        process.wait(EXIT)


def guest_path(host: Host) -> str:
    """What one puts into PYTHONPATH."""
    return str(host.data / "guest")


@asynccontextmanager
async def a_guest(host: Host, log: Path, node: str = f"celery@{NAME}") -> AsyncIterator[psutil.Popen]:
    """One that has joined, and consumes."""
    with celery(host, log, "-n", node, PYTHONPATH=guest_path(host)) as process:
        await host.process_is(node.partition("@")[0], "running")
        yield process


async def says(log: Path, words: str) -> None:
    """Wait for a line of a worker's log."""

    async def look() -> bool:
        return words in log.read_text(encoding="utf-8")

    await eventually(look, f"{words!r} in {log.name}", within=CELERY_DEADLINE)


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey, APART) as one:
        await one.process_is("worker", "running")
        yield one


async def test_a_worker_that_somebody_launched_is_seen_and_its_task_is_cancelled_with_proof(
    host: Host, tmp_path: Path
) -> None:
    async with a_guest(host, tmp_path / "celery.log") as guest:
        told = await host.process_is("celery", "running")
        assert (told.guest, told.pid, told.node, told.desired) == (True, guest.pid, f"celery@{NAME}", "running")
        task = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
        grandchild = await host.only_child_of(task.pid)
        result = await host.commander.cancel(task.task_id, ALICE, grace=0.5)
        assert (result.verdict, exists(task.pid), lives(grandchild)) == ("cancelled", False, False)
        quick = await host.send("reports.count_stock", seconds=0.1)
        assert (await host.seen(TaskSucceeded, task_id=quick)).worker == f"celery@{NAME}"
