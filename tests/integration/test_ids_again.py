"""An application that uses its ids again: what was cancelled is refused, loudly, until somebody lets it run again."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from signalbox.bus import names
from signalbox.bus.cancelled import Follower
from signalbox.messages.events import CommandDone, TaskDropped, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, Host, a_host
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("again")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis) as one:
        await one.process_is("worker", "running")
        yield one


async def send(host: Host, task_id: str, seconds: float = 0.0) -> None:
    sending = {"kwargs": {"seconds": seconds}, "task_id": task_id}
    await asyncio.to_thread(host.celery.send_task, "shop.reports.count_stock", **sending)


async def seen(host: Host, kind: type[TaskStarted | TaskDropped | TaskSucceeded], task_id: str, count: int) -> None:
    """Wait until an id has so many events of a kind."""

    async def look() -> bool:
        return len(await host.of(kind, task_id=task_id)) >= count

    await eventually(look, f"{count} {kind.__name__} of {task_id}")


async def cancelled(host: Host) -> str:
    """An id that was cancelled; a delivery of it is refused."""
    task_id = f"nightly:{uuid.uuid4()}"
    await send(host, task_id, 120.0)
    await seen(host, TaskStarted, task_id, 1)
    assert (await host.commander.cancel(task_id, ALICE)).verdict == "cancelled"
    await send(host, task_id)
    await seen(host, TaskDropped, task_id, 1)
    return task_id


async def test_a_delivery_of_a_cancelled_id_is_refused_and_says_by_what_and_how_that_is_taken_back(host: Host) -> None:
    task_id = await cancelled(host)
    [dropped] = await host.of(TaskDropped, task_id=task_id)
    done = await host.seen(CommandDone, task_id=task_id)
    assert (dropped.outcome, dropped.command_id) == ("cancelled", done.command_id)
    assert dropped.error.startswith("Task cancelled manually: refused when it came")
    assert done.command_id in dropped.error
    assert f"`signalbox allow {task_id}`" in dropped.error


async def test_an_id_that_was_released_runs_again_until_it_is_cancelled_again(host: Host) -> None:
    task_id = await cancelled(host)
    assert (await host.commander.allow(task_id, ALICE)).allowed
    assert task_id not in await Follower(host.redis).everything()
    await send(host, task_id)
    await seen(host, TaskSucceeded, task_id, 1)

    [worker] = host.workers()  # its successor reads what this host refuses from the disk
    os.kill(worker, signal.SIGKILL)
    await host.process_is("worker", "backoff")
    await host.process_is("worker", "running")
    await send(host, task_id, 120.0)
    await seen(host, TaskStarted, task_id, 3)

    assert (await host.commander.cancel(task_id, ALICE)).verdict == "cancelled"
    await send(host, task_id)
    await seen(host, TaskDropped, task_id, 2)


async def test_a_host_that_was_away_hears_of_a_release_when_it_is_back(host: Host) -> None:
    """Its workers ran on meanwhile, and still knew the id as cancelled."""
    task_id = await cancelled(host)
    await host.end_hard()
    result = await host.commander.allow(task_id, ALICE, wait=0.5)
    assert result.silent == {"web-01"}
    host.start()

    async def carried_out() -> bool:
        return bool(await host.of(CommandDone, command_id=result.command_id, verdict="allowed"))

    await eventually(carried_out, "the release is carried out")
    await send(host, task_id)
    await seen(host, TaskSucceeded, task_id, 1)
    assert await host.redis.zscore(names.CANCELLED, task_id) is None
