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
from support.diarist import Diarist, a_diarist
from support.host import ALICE, lives
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDS = (TaskSucceeded, TaskFailed, TaskCancelled, TaskDropped)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def diarist(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Diarist]:
    folder = tmp_path_factory.mktemp("races")
    async with a_redis(folder / "redis") as redis, a_diarist(folder, redis) as one:
        yield one


async def running(diarist: Diarist, *arguments: object) -> TaskStarted:
    """A long task, acknowledged late, that has begun."""
    task_id = diarist.send("long", *arguments)
    await asyncio.wait_for(diarist.begun(task_id).wait(), 10.0)
    return await diarist.host.seen(TaskStarted, task_id=task_id)


async def works(diarist: Diarist) -> None:
    """The worker runs, and has come to the end of its queue."""
    await diarist.host.process_is("worker", "running")
    for task_id in [diarist.send("neighbour") for _ in range(8)]:
        await diarist.host.seen(TaskSucceeded, task_id=task_id)


async def ends(diarist: Diarist, task_id: str) -> list[AnyTaskEvent]:
    """What was told of the end of this task."""
    told = await diarist.host.events()
    return [cast("AnyTaskEvent", one) for one in told if isinstance(one, ENDS) and one.task_id == task_id]


@pytest.mark.parametrize("mode", ["immediate", "graceful"])
async def test_a_stop_and_a_cancel_at_once_end_the_task_once_and_for_all(diarist: Diarist, mode: str) -> None:
    started = await running(diarist, 60.0)
    commander = diarist.host.commander
    stop = commander.stop(ALICE, mode="immediate" if mode == "immediate" else "graceful", timeout=5.0)
    stopped, cancelled = await asyncio.gather(stop, commander.cancel(started.task_id, ALICE))
    assert (stopped.verdict, cancelled.verdict) == ("stopped", "cancelled")
    assert not lives(started.pid)
    await commander.start(ALICE)
    await works(diarist)
    assert diarist.words(started.task_id) == ["started"]
    assert {end.run for end in await ends(diarist, started.task_id)} == {started.run}
    assert not await diarist.host.of(TaskRequeued, task_id=started.task_id)


async def test_a_cancel_during_a_drain_is_carried_out(diarist: Diarist) -> None:
    kept, started = await running(diarist, 3.0), await running(diarist, 60.0)
    draining = diarist.host.begin(diarist.host.commander.stop(ALICE, timeout=20.0))
    await diarist.host.process_is("worker", "draining")
    assert (await diarist.host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    assert not lives(started.pid)
    assert not draining.done()
    assert (await draining).verdict == "stopped"
    await diarist.host.commander.start(ALICE)
    await works(diarist)
    assert diarist.words(started.task_id) == ["started"]
    assert diarist.words(kept.task_id) == ["started", "finished"]


@pytest.mark.parametrize("delay", [0.0, 0.4, 0.55, 0.7])
async def test_a_cancel_while_the_worker_boots_keeps_the_task_from_finishing(diarist: Diarist, delay: float) -> None:
    await diarist.host.commander.stop(ALICE, mode="immediate")
    task_id = diarist.send("long", 2.0)
    starting = diarist.host.begin(diarist.host.commander.start(ALICE))
    await asyncio.sleep(delay)  # where in its boot it is cancelled: the subject of the test
    result = await diarist.host.commander.cancel(task_id, ALICE)
    assert result.verdict in {"unknown", "dropped", "cancelled"}
    await starting
    await works(diarist)
    assert "finished" not in diarist.words(task_id)
    assert len(await ends(diarist, task_id)) == 1
    assert isinstance((await ends(diarist, task_id))[0], (TaskCancelled, TaskDropped))


async def test_a_worker_that_dies_in_the_midst_of_a_cancel_proves_it(diarist: Diarist) -> None:
    started = await running(diarist, 60.0, "deaf")
    cancelling = diarist.host.begin(diarist.host.commander.cancel(started.task_id, ALICE, grace=5.0))
    os.kill(await diarist.host.pid("worker"), signal.SIGKILL)
    result = await cancelling
    assert result.verdict == "cancelled"
    assert not lives(started.pid)
    await works(diarist)
    assert diarist.words(started.task_id) == ["started"]
    first, *later = await ends(diarist, started.task_id)
    assert isinstance(first, TaskCancelled)
    assert all(isinstance(end, TaskDropped) for end in later), "its message came back, and was not dropped"


async def test_a_task_that_is_being_handed_out_again_does_not_run_again_once_it_is_cancelled(diarist: Diarist) -> None:
    started = await running(diarist, 60.0)
    os.kill(await diarist.host.pid("worker"), signal.SIGKILL)
    await diarist.host.seen(TaskRequeued, task_id=started.task_id)
    result = await diarist.host.commander.cancel(started.task_id, ALICE)
    assert result.verdict in {"unknown", "dropped", "cancelled"}
    await works(diarist)
    assert diarist.words(started.task_id)[0] == "started"
    assert "finished" not in diarist.words(started.task_id)
    last = (await ends(diarist, started.task_id))[-1]
    assert isinstance(last, (TaskCancelled, TaskDropped))
    assert last.run > started.run


async def test_ten_cancels_of_one_task_at_once_are_one(diarist: Diarist) -> None:
    started = await running(diarist, 60.0, "slow")
    cancel = diarist.host.commander.cancel
    results = await asyncio.gather(*(cancel(started.task_id, ALICE) for _ in range(10)))
    assert {result.verdict for result in results} == {"cancelled"}
    assert len(await ends(diarist, started.task_id)) == 1
    assert diarist.words(started.task_id) == ["started", "cleaned"]


async def test_a_task_that_is_sent_and_cancelled_in_one_breath_does_not_finish(diarist: Diarist) -> None:
    ids = [str(uuid.uuid4()) for _ in range(40)]
    client: Celery = diarist.host.celery
    for task_id in ids:
        sending = asyncio.to_thread(client.send_task, "long", (3.0,), task_id=task_id)
        await asyncio.gather(sending, diarist.host.commander.cancel(task_id, ALICE))
    await works(diarist)
    for task_id in ids:
        assert "finished" not in diarist.words(task_id)
        assert [type(end) for end in await ends(diarist, task_id)] in ([TaskCancelled], [TaskDropped])
