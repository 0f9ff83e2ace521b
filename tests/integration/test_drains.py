"""A graceful stop while short tasks flow: what a pool process was handed runs to its end, once, and never again."""

from functools import partial
from pathlib import Path

import pytest

from support.eventually import HANGS, eventually
from support.host import ALICE
from support.logged_worker import LoggedWorker, a_logged_worker
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

#: In one stop of three a task was just on its way to a child, before anything was done about that.
STOPS = 5
TASKS = 100


async def _flow(worker: LoggedWorker, name: str, *arguments: object) -> list[str]:
    """Send tasks, and wait until the worker is in the middle of them."""
    sent = [worker.send(name, *arguments) for _ in range(TASKS)]

    async def begun() -> bool:
        return len(worker.read().keys() & set(sent)) > TASKS // 10

    await eventually(begun, "some that have begun")
    return sent


async def _each_ran_once(worker: LoggedWorker, sent: list[str]) -> bool:
    lines = worker.read()
    words = {task_id: [word for _, word in lines.get(task_id, [])] for task_id in sent}
    assert {task_id: said for task_id, said in words.items() if said != ["started", "finished"]} == {}
    return True


async def _stop_and_start(worker: LoggedWorker, name: str, *arguments: object) -> None:
    sent = []
    for _ in range(STOPS):
        sent += await _flow(worker, name, *arguments)
        assert (await worker.host.commander.stop(ALICE, timeout=HANGS)).verdict == "stopped"
        assert (await worker.host.commander.start(ALICE)).verdict == "started"
    await eventually(partial(_each_ran_once, worker, sent), "each task, once")


@pytest.mark.parametrize("name", ["neighbour", "neighbour_late"])
async def test_no_task_runs_twice_or_is_lost(tmp_path: Path, valkey: Redis, name: str) -> None:
    async with a_logged_worker(tmp_path, valkey, concurrency=4) as worker:
        await _stop_and_start(worker, name)


async def test_no_task_runs_twice_or_is_lost_with_rabbitmq(tmp_path: Path, valkey: Redis, rabbit: RabbitMQ) -> None:
    broker = rabbit.url_of(rabbit.next_place())
    async with a_logged_worker(tmp_path, valkey, broker, concurrency=4) as worker:
        await _stop_and_start(worker, "neighbour")
