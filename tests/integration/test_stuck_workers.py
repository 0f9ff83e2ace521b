"""A cancel in a worker whose main process is stopped or stuck: the controller ends the task itself, and proves it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psutil
import pytest
import pytest_asyncio

from signalbox.client.results import CancelResult
from signalbox.messages.events import (
    TaskCancelled,
    TaskFailed,
    TaskRequeued,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
)
from support.eventually import HANGS, eventually
from support.host import ALICE, lives
from support.logged_worker import LoggedWorker, a_logged_worker
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRACE = 1.5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LoggedWorker]:
    folder = tmp_path_factory.mktemp("stuck")
    async with a_redis(folder / "redis") as redis, a_logged_worker(folder, redis) as one:
        yield one


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still, by a signal."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def running(worker: LoggedWorker, *arguments: object) -> TaskStarted:
    """A long task that has begun."""
    task_id = worker.send("long", *arguments)
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    return await worker.host.seen(TaskStarted, task_id=task_id)


async def is_cancelled_for_good(worker: LoggedWorker, started: TaskStarted, result: CancelResult) -> None:
    """The worker is well again: it contradicts nothing, gives nothing back, and works."""
    assert result.verdict == "cancelled"
    following = [worker.send("neighbour") for _ in range(8)]  # more than are taken at once, and than there are children
    for task_id in following:
        await worker.host.seen(TaskSucceeded, task_id=task_id)
    told = await worker.host.of(TaskCancelled, task_id=started.task_id)
    assert {(one.run, one.command_id) for one in told} == {(started.run, result.command_id)}
    for other in (TaskFailed, TaskRequeued, TaskRetried, TaskSucceeded):
        assert not await worker.host.of(other, task_id=started.task_id)
    assert worker.words(started.task_id)[0] == "started"
    assert not {"started", "finished"} & set(worker.words(started.task_id)[1:])
    assert worker.host.celery.AsyncResult(started.task_id).state == "REVOKED"


async def test_every_run_of_an_id_in_a_stopped_worker_is_ended_without_it(worker: LoggedWorker) -> None:
    first = await running(worker, 60.0, "")
    worker.send("long", 60.0, "", task_id=first.task_id)

    async def both() -> list[TaskStarted]:
        found = await worker.host.of(TaskStarted, task_id=first.task_id)
        return found if len(found) == 2 else []

    runs = await eventually(both, "two runs of one id")
    with stopped(await worker.host.pid("worker")):
        result = await worker.host.commander.cancel(first.task_id, ALICE, grace=GRACE)
        assert not [run.pid for run in runs if lives(run.pid)]
    assert (result.verdict, result.verified) == ("cancelled", True)
    told = await worker.host.of(TaskCancelled, task_id=first.task_id)
    assert {one.run for one in told} == {run.run for run in runs}


async def test_the_child_of_a_run_that_ended_by_itself_outlives_the_cancel_of_another_one(worker: LoggedWorker) -> None:
    """It may be at another task by now."""
    long = await running(worker, 60.0, "")
    worker.send("aimed", 2.0, "finished", task_id=long.task_id)

    async def the_other() -> TaskStarted | None:
        found = await worker.host.of(TaskStarted, task_id=long.task_id)
        return next((one for one in found if one.run != long.run), None)

    short = await eventually(the_other, "the second run of one id")
    with stopped(await worker.host.pid("worker")):
        await worker.child_writes(short.pid, "SUCCESS")
        result = await worker.host.commander.cancel(long.task_id, ALICE, grace=GRACE)
        assert result.verdict == "cancelled"
        assert (lives(long.pid), lives(short.pid)) == (False, True)
    await worker.host.seen(TaskSucceeded, task_id=long.task_id)
    assert {one.run for one in await worker.host.of(TaskCancelled, task_id=long.task_id)} == {long.run}


@pytest.mark.parametrize("how", ["", "slow", "deaf", "swallows", "one call", "launches", "daemon"])
async def test_a_task_of_a_stopped_worker_is_ended_without_it_and_stays_so(worker: LoggedWorker, how: str) -> None:
    started = await running(worker, 60.0, how)
    launched = psutil.Process(started.pid).children(recursive=True)
    with stopped(await worker.host.pid("worker")):
        result = await worker.host.commander.cancel(started.task_id, ALICE, grace=GRACE)
        assert result.verdict == "cancelled"
        assert result.detail.startswith("worker did not answer; the process of the task was ended without it.")
        assert not lives(started.pid)
        assert not [one.pid for one in launched if lives(one.pid)]
        assert worker.words(started.task_id)[1:] == (["cleaned"] if how == "slow" else [])
        assert (await worker.host.seen(TaskCancelled, task_id=started.task_id)).signal in {"TERM", "KILL"}
    await is_cancelled_for_good(worker, started, result)


async def test_of_many_that_are_cancelled_the_death_of_each_is_told_at_once(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0)
    with stopped(await worker.host.pid("worker")):
        result = await worker.host.commander.cancel_many([started.task_id], ALICE)
        assert [task.verdict for task in result.tasks] == ["cancelled"]
        told = await worker.host.seen(TaskCancelled, task_id=started.task_id)
        assert told.killed == (started.pid,)
    await worker.host.seen(TaskSucceeded, task_id=worker.send("neighbour"))


async def test_a_worker_whose_loop_stands_still_does_not_hold_up_a_cancel(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0)
    worker.host.celery.control.broadcast("hang", arguments={"seconds": 4.0})
    result = await worker.host.commander.cancel(started.task_id, ALICE, grace=GRACE)
    assert not lives(started.pid)
    await is_cancelled_for_good(worker, started, result)


async def test_a_worker_that_comes_to_itself_in_the_middle_lets_the_task_clean_up(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0, "slow")
    with stopped(await worker.host.pid("worker")):
        cancelling = worker.host.begin(worker.host.commander.cancel(started.task_id, ALICE, grace=3.0))
        await worker.child_writes(started.pid, "interrupted")
    await is_cancelled_for_good(worker, started, await cancelling)
    assert worker.words(started.task_id) == ["started", "cleaned"]


async def test_a_task_that_ended_while_its_worker_was_stopped_has_not_been_cancelled(worker: LoggedWorker) -> None:
    task_id = worker.send("aimed", 0.3, "finished")
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    started = await worker.host.seen(TaskStarted, task_id=task_id)
    with stopped(await worker.host.pid("worker")):
        await worker.child_writes(started.pid, "SUCCESS")
        result = await worker.host.commander.cancel(task_id, ALICE, grace=GRACE)
        assert (result.verdict, result.detail) == ("finished", "It ended by itself (completed); worker did not answer.")
        assert lives(started.pid)
    await worker.host.seen(TaskSucceeded, task_id=task_id)
    assert not await worker.host.of(TaskCancelled, task_id=task_id)


async def test_a_stopped_child_is_killed_at_the_deadline(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0)
    os.kill(started.pid, signal.SIGSTOP)
    result = await worker.host.commander.cancel(started.task_id, ALICE, grace=0.5)
    assert not lives(started.pid)
    assert (await worker.host.seen(TaskCancelled, task_id=started.task_id)).signal == "KILL"
    await is_cancelled_for_good(worker, started, result)


async def test_a_task_that_is_stopped_together_with_its_stopped_worker_does_not_come_back(worker: LoggedWorker) -> None:
    started = await running(worker, 60.0)
    os.kill(await worker.host.pid("worker"), signal.SIGSTOP)
    assert (await worker.host.commander.stop(ALICE, mode="immediate")).verdict == "stopped"
    assert not lives(started.pid)
    assert (await worker.host.seen(TaskFailed, task_id=started.task_id)).outcome == "stopped"
    assert (await worker.host.commander.start(ALICE)).verdict == "started"
    for task_id in [worker.send("neighbour") for _ in range(8)]:
        await worker.host.seen(TaskSucceeded, task_id=task_id)
    assert worker.words(started.task_id) == ["started"]


async def test_what_children_say_of_themselves_is_gone_with_them(worker: LoggedWorker) -> None:
    await worker.host.commander.stop(ALICE, mode="immediate")
    assert not list((worker.host.data / "run").glob("*.children"))
    assert (await worker.host.commander.start(ALICE)).verdict == "started"
