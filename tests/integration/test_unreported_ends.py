"""Tasks whose end their worker does not report: it was killed, hangs, or Celery failed over it. The child wrote it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client

from signalbox.messages.events import (
    HostSeen,
    ProcessChanged,
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
from support.stores.server import Redis

#: All events after which a run is over.
ENDS = (TaskSucceeded, TaskFailed, TaskRetried, TaskRequeued, TaskCancelled)


@pytest.fixture
async def worker(tmp_path: Path, valkey: Redis) -> AsyncIterator[LoggedWorker]:
    async with a_logged_worker(tmp_path, valkey) as one:
        yield one


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still, by a signal, and goes on unless it is killed meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def running(worker: LoggedWorker, name: str, *arguments: object) -> TaskStarted:
    """A task that has begun."""
    task_id = worker.send(name, *arguments)
    await asyncio.wait_for(worker.begun(task_id).wait(), HANGS)
    return await worker.host.seen(TaskStarted, task_id=task_id)


async def ends(worker: LoggedWorker, started: TaskStarted) -> set[type]:
    """The kinds of ends that were reported of a run."""
    return {type(event) for kind in ENDS for event in await worker.host.of(kind, task_id=started.task_id)}


async def works(worker: LoggedWorker) -> None:
    """Wait until it runs tasks: more than are taken at once, and than there are children."""
    for task_id in [worker.send("neighbour") for _ in range(8)]:
        await worker.host.seen(TaskSucceeded, task_id=task_id)


# A worker that is killed


@pytest.mark.parametrize("task", ["aimed", "aimed_late"])
async def test_a_task_that_finished_before_its_stuck_worker_was_killed_is_completed(
    worker: LoggedWorker, task: str
) -> None:
    main = await worker.host.pid("worker")
    started = await running(worker, task, 0.5, "finished")
    with stopped(main):
        await worker.child_writes(started.pid, "SUCCESS")
        os.kill(main, signal.SIGKILL)
        done = await worker.host.seen(TaskSucceeded, task_id=started.task_id)
    assert (done.run, done.pid, done.outcome, done.started_at) == (started.run, started.pid, "succeeded", started.at)
    await works(worker)
    assert await ends(worker, started) == {TaskSucceeded}
    assert worker.words(started.task_id) == ["started", "finished"], "its message was not delivered again"


async def test_a_task_that_failed_before_its_stuck_worker_was_killed_failed_for_its_own_reason(
    worker: LoggedWorker,
) -> None:
    main = await worker.host.pid("worker")
    started = await running(worker, "aimed_late", 0.5, "failed")
    with stopped(main):
        await worker.child_writes(started.pid, "FAILURE")
        os.kill(main, signal.SIGKILL)
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
    assert (failed.run, failed.outcome, failed.error) == (started.run, "error", "ValueError: of itself")
    assert "raise error" in failed.traceback
    await works(worker)
    assert worker.words(started.task_id) == ["started", "failed"]


async def test_a_task_in_the_middle_is_lost_with_its_worker(worker: LoggedWorker) -> None:
    main = await worker.host.pid("worker")
    started = await running(worker, "aimed", 60.0, "finished")
    with stopped(main):
        os.kill(main, signal.SIGKILL)
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
    assert (failed.outcome, failed.error) == ("worker_lost", "Worker lost: signal 9 (SIGKILL)")
    assert not lives(started.pid)


async def test_a_finished_task_is_completed_when_a_person_kills_its_stuck_worker(worker: LoggedWorker) -> None:
    started = await running(worker, "aimed_late", 0.5, "finished")
    with stopped(await worker.host.pid("worker")):
        await worker.child_writes(started.pid, "SUCCESS")
        assert (await worker.host.commander.stop(ALICE, mode="immediate")).verdict == "stopped"
    assert await ends(worker, started) == {TaskSucceeded}
    assert (await worker.host.commander.start(ALICE)).verdict == "started"
    await works(worker)
    assert worker.words(started.task_id) == ["started", "finished"]


async def test_a_finished_task_is_completed_when_worker_and_controller_are_killed(worker: LoggedWorker) -> None:
    main = await worker.host.pid("worker")
    started = await running(worker, "aimed_late", 5.0, "finished")
    with stopped(main):
        await is_known(worker, started)
        await worker.host.end_hard()
        await worker.child_writes(started.pid, "SUCCESS")
        os.kill(main, signal.SIGKILL)
    worker.host.start()
    done = await worker.host.seen(TaskSucceeded, task_id=started.task_id)
    assert done.run == started.run
    await works(worker)
    assert worker.words(started.task_id) == ["started", "finished"]


# A worker that hangs


async def test_a_task_whose_child_dies_in_a_stuck_worker_has_failed_before_the_worker_goes_on(
    worker: LoggedWorker,
) -> None:
    started = await running(worker, "aimed", 60.0, "finished")
    with stopped(await worker.host.pid("worker")):
        os.kill(started.pid, signal.SIGKILL)
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.run, failed.outcome) == (started.run, "worker_lost")
        why = f"While its worker did not answer, the process {started.pid} that ran it died: signal 9 (SIGKILL)"
        assert failed.error == why
        await is_not_running(worker, started)
    await works(worker)
    assert await ends(worker, started) == {TaskFailed}
    assert {one.outcome for one in await worker.host.of(TaskFailed, task_id=started.task_id)} == {"worker_lost"}
    await is_not_running(worker, started)


async def test_a_task_that_finishes_in_a_stuck_worker_is_completed_before_the_worker_goes_on(
    worker: LoggedWorker,
) -> None:
    started = await running(worker, "aimed", 0.5, "finished")
    with stopped(await worker.host.pid("worker")):
        done = await worker.host.seen(TaskSucceeded, task_id=started.task_id)
        assert done.run == started.run
        await is_not_running(worker, started)
    await works(worker)
    assert await ends(worker, started) == {TaskSucceeded}


async def test_a_stuck_worker_whose_other_task_runs_keeps_that(worker: LoggedWorker) -> None:
    started, other = await running(worker, "aimed", 60.0, "finished"), await running(worker, "aimed", 60.0, "finished")
    with stopped(await worker.host.pid("worker")):
        os.kill(started.pid, signal.SIGKILL)
        await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (other.task_id, other.run) in (await next_heartbeat(worker)).running
    assert await ends(worker, other) == set()


async def test_a_child_that_dies_while_no_controller_is_there_is_seen_by_the_next_one(worker: LoggedWorker) -> None:
    started = await running(worker, "aimed", 60.0, "finished")
    await is_known(worker, started)
    with stopped(await worker.host.pid("worker")):
        await worker.host.end_hard()
        os.kill(started.pid, signal.SIGKILL)
        worker.host.start()
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.run, failed.outcome) == (started.run, "worker_lost")


async def is_known(worker: LoggedWorker, started: TaskStarted) -> None:
    """Wait until the controller has noted on disk that the task runs."""

    async def look() -> bool:
        noted = worker.host.data / "controller" / "running.json"
        return noted.exists() and started.run in noted.read_text(encoding="utf-8")

    await eventually(look, f"{started.run} is noted")


async def is_not_running(worker: LoggedWorker, started: TaskStarted) -> None:
    """The next heartbeat does not list it."""
    assert started.task_id not in {task_id for task_id, _ in (await next_heartbeat(worker)).running}


async def next_heartbeat(worker: LoggedWorker) -> HostSeen:
    """The next heartbeat of the host."""
    before = len(await worker.host.of(HostSeen))

    async def look() -> HostSeen | None:
        seen = await worker.host.of(HostSeen)
        return seen[-1] if len(seen) > before else None

    return await eventually(look, "another heartbeat")


# Celery's own handlers


async def test_tasks_that_end_while_the_broker_is_away_have_ended_before_it_is_back(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_redis(tmp_path / "broker") as broker, a_logged_worker(tmp_path, valkey, broker.url_of(1)) as worker:
        done, failed = await running(worker, "aimed", 2.0, "finished"), await running(worker, "aimed", 2.0, "failed")
        await broker.kill()
        assert (await worker.host.seen(TaskSucceeded, task_id=done.task_id)).run == done.run
        error = await worker.host.seen(TaskFailed, task_id=failed.task_id)
        assert (error.run, error.error) == (failed.run, "ValueError: of itself")
        assert "raise error" in error.traceback
        await broker.start()
        await works(worker)
        for one in (done, failed):
            assert len(await ends(worker, one)) == 1
            await is_not_running(worker, one)


async def refuse_results(results: Redis) -> None:
    """Have this server take nothing more."""
    async with Client.from_url(results.url) as client:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", "1")


async def test_a_task_whose_result_was_refused_is_not_completed_when_its_stuck_worker_is_killed(
    tmp_path: Path, valkey: Redis
) -> None:
    async with (
        a_redis(tmp_path / "results") as results,
        a_logged_worker(tmp_path, valkey, SHOP_RESULT_BACKEND=results.url_of(1)) as worker,
    ):
        main = await worker.host.pid("worker")
        started = await running(worker, "aimed", 1.0, "finished")
        await refuse_results(results)
        with stopped(main):
            await worker.child_writes(started.pid, "over")
            os.kill(main, signal.SIGKILL)
            failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.run, failed.outcome) == (started.run, "worker_lost")
        assert await ends(worker, started) == {TaskFailed}


@pytest.mark.parametrize("task", ["aimed", "aimed_late"])
@pytest.mark.parametrize("end", ["finished", "failed"])
async def test_a_task_whose_result_its_backend_refuses_is_over(
    tmp_path: Path, valkey: Redis, task: str, end: str
) -> None:
    """Celery makes a failure of it, and raises when it wants to store that."""
    async with (
        a_redis(tmp_path / "results") as results,
        a_logged_worker(tmp_path, valkey, SHOP_RESULT_BACKEND=results.url_of(1)) as worker,
    ):
        started = await running(worker, task, 1.0, end)
        await refuse_results(results)
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.run, failed.outcome) == (started.run, "error")
        assert "OutOfMemory" in failed.error
        await is_not_running(worker, started)


async def test_a_child_that_dies_while_the_backend_refuses_everything_has_lost_its_task(
    tmp_path: Path, valkey: Redis
) -> None:
    async with (
        a_redis(tmp_path / "results") as results,
        a_logged_worker(tmp_path, valkey, SHOP_RESULT_BACKEND=results.url_of(1)) as worker,
    ):
        started = await running(worker, "aimed", 60.0, "finished")
        await refuse_results(results)
        os.kill(started.pid, signal.SIGKILL)
        failed = await worker.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.run, failed.outcome) == (started.run, "worker_lost")
        await is_not_running(worker, started)
        assert (await worker.host.of(ProcessChanged, name="worker"))[-1].state == "running"
