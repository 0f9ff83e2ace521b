"""The queues of a worker: those of its application, unless the file names some; what it really consumes is shown."""

import asyncio
from pathlib import Path

import psutil

from signalbox.messages.events import ProcessChanged, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, NAME, Host, a_host
from support.stores.server import Redis

OWN_QUEUES = """
[apps.own]
app = "own_queues"
directory = "{examples}/../tests/support/apps"
[apps.own.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
[[apps.own.workers]]
name = "worker"
concurrency = 1
command = ["nice", "-n", "5"]
"""
NODE = f"worker@{NAME}"


async def consumes(host: Host, *queues: str) -> ProcessChanged:
    """Wait until the latest word on the worker is that it runs, and consumes just these."""

    async def look() -> ProcessChanged | None:
        latest = (await host.of(ProcessChanged, name="worker"))[-1:]
        return next((one for one in latest if one.state == "running" and set(one.queues) == set(queues)), None)

    return await eventually(look, f"the worker consumes {queues}")


async def test_a_worker_without_queues_consumes_those_of_its_application_and_shows_what_is_added_and_taken_away(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path / "host", valkey, OWN_QUEUES) as host:
        await consumes(host, "orders", "mail", "reports")
        sent = await asyncio.to_thread(host.celery.send_task, "own_queues.work", queue="reports")
        assert (await host.seen(TaskSucceeded, task_id=sent.id)).queue == "reports"

        remote = host.celery.control
        await asyncio.to_thread(remote.add_consumer, "later", destination=[NODE])
        await consumes(host, "orders", "mail", "reports", "later")
        await asyncio.to_thread(remote.cancel_consumer, "mail", destination=[NODE])
        running = await consumes(host, "orders", "reports", "later")

        process = psutil.Process(running.pid)
        ours = min(19, psutil.Process().nice() + 5)
        assert (process.nice(), "-Q" in process.cmdline()) == (ours, False), "the command came before the interpreter"
        await host.commander.restart(ALICE)
        await consumes(host, "orders", "mail", "reports")
