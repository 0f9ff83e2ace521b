"""What a controller finds when it comes back: nothing that happened without it stays untold, nothing runs twice."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.messages.events import ProcessChanged, TaskFailed, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, Host, a_host, lives
from support.logged_worker import a_logged_worker
from support.stores.server import Redis


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


async def written_down(host: Host, event: str, task_id: str) -> None:
    """Wait until a worker without a controller has noted this event of a task."""

    async def look() -> bool:
        spools = (host.data / "run").glob("*.diary")  # there is one as soon as the worker has noticed
        events = [json.loads(line).get("event", {}) for spool in spools for line in spool.read_text().splitlines()]
        return any((seen.get("type"), seen.get("task_id")) == (event, task_id) for seen in events)

    await eventually(look, f"{event} of {task_id} in the spool")


async def test_a_worker_that_died_without_a_controller_is_missed_with_all_that_it_ran(host: Host) -> None:
    known = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    grandchild = await host.only_child_of(known.pid)
    await host.end_hard()
    short = await host.send("reports.count_stock", seconds=0.1)
    unheard = await host.send("reports.count_stock", seconds=120.0)
    await written_down(host, "TaskSucceeded", short)
    await written_down(host, "TaskStarted", unheard)
    before = await host.pid("worker")
    os.kill(before, signal.SIGKILL)
    host.start()
    for task_id in (known.task_id, unheard):
        failed = await host.seen(TaskFailed, task_id=task_id)
        assert failed.outcome == "worker_lost"
    assert (await host.seen(TaskStarted, task_id=unheard)).pid
    await host.seen(TaskSucceeded, task_id=short)
    assert not await host.of(TaskFailed, task_id=short)
    assert not lives(grandchild)
    told = await host.seen(ProcessChanged, name="worker", state="backoff")
    assert told.desired == "running"
    await host.process_is("worker", "running")
    assert len(host.workers()) == 1
    assert not list((host.data / "run").glob("*.diary"))


async def test_a_worker_that_died_in_the_same_moment_as_its_controller_leaves_each_task_with_its_end(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_logged_worker(tmp_path, valkey) as worker:
        host = worker.host
        earlier = worker.send("neighbour")
        await host.seen(TaskSucceeded, task_id=earlier)
        finishes, long = worker.send("aimed", 2.0, "finished"), worker.send("aimed", 120.0, "finished")
        for task_id in (finishes, long):
            await host.seen(TaskStarted, task_id=task_id)
        os.kill(main := await host.pid("worker"), signal.SIGSTOP)  # neither learns of the end of the other

        async def finished() -> bool:
            return worker.words(finishes) == ["started", "finished"]

        await host.end_hard()
        await eventually(finished, "the task has finished")
        await worker.child_writes((await host.seen(TaskStarted, task_id=finishes)).pid, "SUCCESS")
        os.kill(main, signal.SIGKILL)
        host.start()
        lost = await host.seen(TaskFailed, task_id=long)
        assert (lost.outcome, lost.run) == ("worker_lost", (await host.seen(TaskStarted, task_id=long)).run)
        done = await host.seen(TaskSucceeded, task_id=finishes)
        assert done.run == (await host.seen(TaskStarted, task_id=finishes)).run
        for task_id in (earlier, finishes):
            assert not await host.of(TaskFailed, task_id=task_id)


async def test_what_was_to_stop_and_died_without_a_controller_stays_stopped(host: Host) -> None:
    task = await host.running("stubborn.ignore_term", seconds=120.0)
    worker = await host.pid("worker")
    stopping = host.begin(host.commander.stop(ALICE, timeout=60.0))
    await host.process_is("worker", "draining")
    await host.end_hard()
    stopping.cancel()
    os.kill(worker, signal.SIGKILL)
    host.start()
    await host.process_is("worker", "stopped")
    failed = await host.seen(TaskFailed, task_id=task.task_id)
    assert (failed.outcome, failed.error) == ("stopped", "Celery was stopped by alice: maintenance")
    assert host.workers() == []


async def test_a_drain_goes_on_under_the_next_controller_and_keeps_its_deadline(host: Host) -> None:
    task = await host.running()
    worker = await host.pid("worker")
    stopping = host.begin(host.commander.stop(ALICE, timeout=4.0))
    await host.process_is("worker", "draining")
    await host.end_hard()
    stopping.cancel()
    host.start()
    told = await host.process_is("worker", "stopped")
    assert told.message == "stopped by alice: maintenance"
    assert not lives(worker)
    assert (await host.seen(TaskFailed, task_id=task.task_id)).error == "Celery was stopped by alice: maintenance"


async def test_an_upgrade_of_the_controller_costs_no_task(host: Host) -> None:
    before = await host.pid("worker")
    running = await host.running(seconds=4.0)
    assert await host.end(signal.SIGTERM) == 0
    meanwhile = [await host.send("reports.count_stock", seconds=0.05) for _ in range(20)]
    host.start()
    later = await host.send("reports.count_stock", seconds=0.05)
    for task_id in (running.task_id, *meanwhile, later):
        done = await host.seen(TaskSucceeded, task_id=task_id)
        assert len(await host.of(TaskStarted, task_id=task_id)) == 1
        assert done.worker == "worker@web-01"
    assert not await host.of(TaskFailed)
    assert await host.pid("worker") == before
