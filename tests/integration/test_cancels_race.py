"""A cancel against whatever else may happen to its task just then: it never runs again, and one story is told."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio
from celery import Celery

from signalbox.messages.events import (
    AnyTaskEvent,
    TaskCancelled,
    TaskDropped,
    TaskFailed,
    TaskRequeued,
    TaskStarted,
    TaskSucceeded,
)
from support.eventually import HANGS
from support.host import ALICE, lives
from support.logged_worker import LoggedWorker, a_logged_worker
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS = (TaskSucceeded, TaskFailed, TaskCancelled, TaskDropped)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LoggedWorker]:
    folder = tmp_path_factory.mktemp("races")
    async with a_redis(folder / "redis") as redis, a_logged_worker(folder, redis) as one:
        yield one


async def running(worker: LoggedWorker, *arguments: object) -> TaskStarted:
    """A long task, acknowledged late, that has begun."""
    task_id = worker.send("long", *arguments)
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    return await worker.host.seen(TaskStarted, task_id=task_id)


async def works(worker: LoggedWorker) -> None:
    """The worker runs, and has come to the end of its queue."""
    await worker.host.process_is("worker", "running")
    for task_id in [worker.send("neighbour") for _ in range(8)]:
        await worker.host.seen(TaskSucceeded, task_id=task_id)


async def ends(worker: LoggedWorker, task_id: str) -> list[AnyTaskEvent]:
    """What was told of the end of this task."""
    told = await worker.host.events()
    return [cast("AnyTaskEvent", one) for one in told if isinstance(one, ENDS) and one.task_id == task_id]


@pytest.mark.parametrize("mode", ["immediate", "graceful"])
async def test_a_stop_and_a_cancel_at_once_end_the_task_once_and_for_all(worker: LoggedWorker, mode: str) -> None:
    started = await running(worker, 60.0)
    commander = worker.host.commander
    stop = commander.stop(ALICE, mode="immediate" if mode == "immediate" else "graceful", timeout=5.0)
    stopped, cancelled = await asyncio.gather(stop, commander.cancel(started.task_id, ALICE))
    assert (stopped.verdict, cancelled.verdict) == ("stopped", "cancelled")
    assert not lives(started.pid)
    await commander.start(ALICE)
    await works(worker)
    assert worker.words(started.task_id) == ["started"]
    assert {end.run for end in await ends(worker, started.task_id)} == {started.run}
    assert not await worker.host.of(TaskRequeued, task_id=started.task_id)


async def test_a_cancel_during_a_drain_is_carried_out(worker: LoggedWorker) -> None:
    kept, started = await running(worker, 3.0), await running(worker, 60.0)
    draining = worker.host.begin(worker.host.commander.stop(ALICE, timeout=20.0))
    await worker.host.process_is("worker", "draining")
    assert (await worker.host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    assert not lives(started.pid)
    assert not draining.done()
    assert (await draining).verdict == "stopped"
    await worker.host.commander.start(ALICE)
    await works(worker)
    assert worker.words(started.task_id) == ["started"]
    assert worker.words(kept.task_id) == ["started", "finished"]


@pytest.mark.parametrize("delay", [0.0, 0.4, 0.55, 0.7])
async def test_a_cancel_while_the_worker_boots_keeps_the_task_from_finishing(
    worker: LoggedWorker, delay: float
) -> None:
    await worker.host.commander.stop(ALICE, mode="immediate")
    task_id = worker.send("long", 2.0)
    starting = worker.host.begin(worker.host.commander.start(ALICE))
    await asyncio.sleep(delay)  # where in its boot it is cancelled: the subject of the test
    result = await worker.host.commander.cancel(task_id, ALICE)
    assert result.verdict in {"unknown", "dropped", "cancelled"}
    await starting
    await works(worker)
    assert "finished" not in worker.words(task_id)
    assert len(await ends(worker, task_id)) == 1
    assert isinstance((await ends(worker, task_id))[0], (TaskCancelled, TaskDropped))


async def test_a_worker_that_dies_in_the_midst_of_a_cancel_proves_it(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0, "deaf")
    cancelling = worker.host.begin(worker.host.commander.cancel(started.task_id, ALICE, grace=5.0))
    os.kill(await worker.host.pid("worker"), signal.SIGKILL)
    result = await cancelling
    assert result.verdict == "cancelled"
    assert not lives(started.pid)
    await works(worker)
    assert worker.words(started.task_id) == ["started"]
    first, *later = await ends(worker, started.task_id)
    assert isinstance(first, TaskCancelled)
    assert all(isinstance(end, TaskDropped) for end in later), "its message came back, and was not dropped"


async def test_a_task_that_is_being_handed_out_again_does_not_run_again_once_it_is_cancelled(
    worker: LoggedWorker,
) -> None:
    started = await running(worker, 60.0)
    os.kill(await worker.host.pid("worker"), signal.SIGKILL)
    await worker.host.seen(TaskRequeued, task_id=started.task_id)
    result = await worker.host.commander.cancel(started.task_id, ALICE)
    assert result.verdict in {"unknown", "dropped", "cancelled"}
    await works(worker)
    assert worker.words(started.task_id)[0] == "started"
    assert "finished" not in worker.words(started.task_id)
    last = (await ends(worker, started.task_id))[-1]
    assert isinstance(last, (TaskCancelled, TaskDropped))
    assert last.run > started.run


async def test_ten_cancels_of_one_task_at_once_are_one(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0, "slow")
    cancel = worker.host.commander.cancel
    results = await asyncio.gather(*(cancel(started.task_id, ALICE) for _ in range(10)))
    assert {result.verdict for result in results} == {"cancelled"}
    assert len(await ends(worker, started.task_id)) == 1
    assert worker.words(started.task_id) == ["started", "cleaned"]


async def test_a_task_that_is_sent_and_cancelled_in_one_breath_does_not_finish(worker: LoggedWorker) -> None:
    ids = [str(uuid.uuid4()) for _ in range(40)]
    client: Celery = worker.host.celery
    for task_id in ids:
        sending = asyncio.to_thread(client.send_task, "long", (3.0,), task_id=task_id)
        await asyncio.gather(sending, worker.host.commander.cancel(task_id, ALICE))
    await works(worker)
    for task_id in ids:
        assert "finished" not in worker.words(task_id)
        assert [type(end) for end in await ends(worker, task_id)] in ([TaskCancelled], [TaskDropped])
