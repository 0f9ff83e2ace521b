"""A result backend that takes connections and never answers: cancels, other tasks and stops go through all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from signalbox.messages.events import TaskFailed, TaskReceived, TaskStarted, TaskSucceeded
from support.eventually import HANGS
from support.host import ALICE, lives
from support.logged_worker import LoggedWorker, a_logged_worker
from support.stores.server import Redis


@asynccontextmanager
async def a_mute_server() -> AsyncIterator[str]:
    """The address of a Redis that never answers."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 24)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


@pytest.fixture
async def worker(tmp_path: Path, valkey: Redis) -> AsyncIterator[LoggedWorker]:
    async with a_mute_server() as store, a_logged_worker(tmp_path, valkey, SHOP_RESULT_BACKEND=store) as one:
        yield one


async def running(worker: LoggedWorker) -> TaskStarted:
    task_id = worker.send("long")
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    return await worker.host.seen(TaskStarted, task_id=task_id)


async def works(worker: LoggedWorker) -> None:
    task_id = worker.send("neighbour", ignore_result=True)
    await worker.host.seen(TaskSucceeded, task_id=task_id)


async def test_a_cancel_of_a_running_and_of_a_waiting_task_holds_up_nothing(worker: LoggedWorker) -> None:
    first, second = await running(worker), await running(worker)
    waiting = worker.send("neighbour")
    await worker.host.seen(TaskReceived, task_id=waiting)
    for task_id in (waiting, first.task_id):
        result = await worker.host.commander.cancel(task_id, ALICE)
        assert result.verdict in {"cancelled", "dropped"}
    assert not lives(first.pid)
    await works(worker)
    assert worker.words(waiting) == []
    assert lives(second.pid)


async def test_a_stop_after_a_cancel_goes_through(worker: LoggedWorker) -> None:
    first, second = await running(worker), await running(worker)
    assert (await worker.host.commander.cancel(first.task_id, ALICE)).verdict == "cancelled"
    assert (await worker.host.commander.stop(ALICE, timeout=6.0)).verdict == "stopped"
    failed = await worker.host.seen(TaskFailed, task_id=second.task_id)
    assert failed.error == "Celery was stopped by alice: maintenance"
    assert not lives(second.pid)
