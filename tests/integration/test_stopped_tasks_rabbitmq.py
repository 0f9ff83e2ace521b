"""The same with RabbitMQ, which gives back by itself what a dead worker held: also what must not come back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from signalbox.messages.events import TaskFailed, TaskReceived, TaskRequeued, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, Host, a_host
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

TASKS = """
[apps.tasks]
app = "tasks"
directory = "{examples}/../tests/support/apps"
[apps.tasks.environment]
TASKS_URL = "${{SHOP_BROKER_URL}}"
TASKS_STORE = "${{SHOP_RESULT_BACKEND}}"
[[apps.tasks.workers]]
name = "worker"
concurrency = 2
"""


async def send(host: Host, task: str, *arguments: Any) -> str:
    return str((await asyncio.to_thread(host.celery.send_task, f"tasks.{task}", arguments)).id)


async def running(host: Host, task: str, *arguments: Any) -> TaskStarted:
    return await host.seen(TaskStarted, task_id=await send(host, task, *arguments))


@pytest.mark.parametrize("redeliver", [False, True], ids=["for good", "to run again"])
@pytest.mark.parametrize("how", [{"mode": "immediate"}, {"timeout": 4.0}], ids=["immediate", "graceful"])
async def test_only_what_may_run_again_does_when_rabbitmq_gives_back_what_a_stopped_worker_held(
    tmp_path: Path, valkey: Redis, rabbit: RabbitMQ, how: Any, *, redeliver: bool
) -> None:
    broker, mark = rabbit.url_of(rabbit.next_place()), tmp_path / "mark"
    async with a_host(tmp_path / "host", valkey, TASKS, broker) as host:
        await host.process_is("worker", "running")
        await running(host, "nap", 60.0)
        late = await running(host, "late", str(mark), 60.0)
        waiting = [await send(host, "nap", 0.0) for _ in range(3)]
        for task_id in waiting:
            await host.seen(TaskReceived, task_id=task_id)
        result = await host.commander.stop(ALICE, redeliver=redeliver, **how)
        assert (result.verdict, result.tasks_killed) == ("stopped", 1 if redeliver else 2)
        await host.seen(TaskRequeued if redeliver else TaskFailed, task_id=late.task_id)
        await host.commander.start(ALICE)
        for task_id in waiting:
            await host.seen(TaskSucceeded, task_id=task_id)

        async def runs() -> bool:
            return len(mark.read_text(encoding="utf-8").splitlines()) == (2 if redeliver else 1)

        await eventually(runs, "as many runs of the late task as it may have")
