"""What a stop, or a death, does to the tasks that a worker runs, holds back and waits for; with Redis as its broker."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus.connection import connect
from signalbox.messages.events import TaskFailed, TaskReceived, TaskRequeued, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, Host, a_host
from support.stores.server import Redis

TASKS = """
[apps.tasks]
app = "tasks"
directory = "{examples}/../tests/support/apps"
[apps.tasks.environment]
TASKS_URL = "${{SHOP_BROKER_URL}}"
[[apps.tasks.workers]]
name = "worker"
concurrency = 2
stop_timeout = 10.0
"""
STOPPED = "Celery was stopped by alice: maintenance"


class Work:
    """The tasks of one worker with two children, and the broker's own view of them."""

    def __init__(self, host: Host, broker: Client, mark: Path) -> None:
        self.host = host
        self.broker = broker
        #: Each run of the task `late` leaves a line here.
        self.mark = mark

    async def send(self, task: str, *arguments: Any, **options: Any) -> str:
        send = self.host.celery.send_task
        return str((await asyncio.to_thread(send, f"tasks.{task}", arguments, **options)).id)

    async def running(self, task: str, *arguments: Any) -> TaskStarted:
        return await self.host.seen(TaskStarted, task_id=await self.send(task, *arguments))

    async def late(self, seconds: float = 60.0) -> TaskStarted:
        """One that is acknowledged late, and runs."""
        return await self.running("late", str(self.mark), seconds)

    @property
    def late_runs(self) -> int:
        return len(self.mark.read_text(encoding="utf-8").splitlines())

    async def has_run_twice(self) -> None:
        """Wait for the second line of `late`: Celery tells that a task starts a moment before its body does."""

        async def look() -> bool:
            assert self.late_runs == 2
            return True

        await eventually(look, "two runs")

    async def held_back(self, *, seconds: float = 0.0) -> list[str]:
        """Three that the worker has taken and cannot run yet, and one whose time is far away."""
        tasks = [await self.send("nap", seconds) for _ in range(3)] + [await self.send("nap", 0.0, countdown=3600)]
        for task_id in tasks:
            await self.host.seen(TaskReceived, task_id=task_id)
        return tasks

    async def queued(self) -> list[str]:
        """The ids in the queue, the next one first."""
        messages = await self.broker.lrange("celery", 0, -1)
        return [json.loads(message)["headers"]["id"] for message in reversed(messages)]

    async def unacknowledged(self) -> set[str]:
        """The ids that some worker holds."""
        entries = await self.broker.hvals("unacked")
        assert len(entries) == await self.broker.zcard("unacked_index")
        return {json.loads(entry)[0]["headers"]["id"] for entry in entries}

    async def are_back(self, tasks: list[str]) -> None:
        """Wait until these are in the queue, and nobody holds anything."""

        async def look() -> bool:
            held, queued = await self.unacknowledged(), await self.queued()
            assert (held, sorted(queued)) == (set(), sorted(tasks))
            return True

        await eventually(look, f"{tasks} in the queue")

    async def holds(self, tasks: set[str]) -> None:
        """Wait until these, and no others, are held by a worker."""

        async def look() -> bool:
            return await self.unacknowledged() == tasks

        await eventually(look, f"{tasks} unacknowledged")

    async def runs_again(self, before: TaskStarted) -> TaskStarted:
        """A later run of the same task."""

        async def look() -> TaskStarted | None:
            runs = await self.host.of(TaskStarted, task_id=before.task_id)
            return next((run for run in runs if run.run > before.run), None)

        return await eventually(look, "another run")

    async def result(self, task_id: str) -> dict[str, Any]:
        """What the result backend says."""
        stored: dict[str, Any] = json.loads(await self.broker.get(f"celery-task-meta-{task_id}") or b"{}")
        return stored


@pytest.fixture
async def work(tmp_path: Path, valkey: Redis) -> AsyncIterator[Work]:
    broker = connect(valkey.url_of(1))
    async with a_host(tmp_path / "host", valkey, TASKS) as host:
        await host.process_is("worker", "running")
        yield Work(host, broker, tmp_path / "mark")
    await broker.aclose()


async def test_an_immediate_stop_fails_what_ran_and_gives_back_what_waited(work: Work) -> None:
    nap, late = await work.running("nap", 60.0), await work.late()
    waiting = await work.held_back()
    assert await work.unacknowledged() == {late.task_id, *waiting}
    result = await work.host.commander.stop(ALICE, mode="immediate")
    assert (result.verdict, result.tasks_killed) == ("stopped", 2)
    for started in (nap, late):
        failed = await work.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.outcome, failed.error, failed.run) == ("stopped", STOPPED, started.run)
    await work.are_back(waiting)
    await work.host.commander.start(ALICE)
    for task_id in waiting[:3]:
        await work.host.seen(TaskSucceeded, task_id=task_id)
    await work.holds({waiting[3]})
    assert work.late_runs == 1


async def test_a_graceful_stop_ends_what_did_not_finish_for_good_and_gives_back_the_rest(work: Work) -> None:
    nap, late = await work.running("nap", 60.0), await work.late()
    waiting = await work.held_back()
    result = await work.host.commander.stop(ALICE, timeout=4.0)
    assert (result.verdict, result.tasks_killed) == ("stopped", 2)
    for started in (nap, late):
        failed = await work.host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.outcome, failed.error) == ("stopped", STOPPED)
        assert (await work.result(started.task_id))["status"] == "REVOKED"
    await work.are_back(waiting)
    assert work.late_runs == 1


async def test_what_finishes_while_the_worker_drains_stays_completed(work: Work) -> None:
    late = await work.late(1.0)
    result = await work.host.commander.stop(ALICE, timeout=10.0)
    assert (result.verdict, result.tasks_killed) == ("stopped", 0)
    assert (await work.host.seen(TaskSucceeded, task_id=late.task_id)).run == late.run
    assert not await work.host.of(TaskFailed)
    await work.are_back([])


@pytest.mark.parametrize("how", [{"mode": "immediate"}, {"timeout": 4.0}], ids=["immediate", "graceful"])
async def test_a_stop_that_redelivers_runs_late_tasks_again_after_the_start(work: Work, how: Any) -> None:
    nap, late = await work.running("nap", 60.0), await work.late()
    result = await work.host.commander.stop(ALICE, redeliver=True, **how)
    assert (result.verdict, result.tasks_killed) == ("stopped", 1)
    assert (await work.host.seen(TaskFailed, task_id=nap.task_id)).error == STOPPED
    requeued = await work.host.seen(TaskRequeued, task_id=late.task_id)
    assert requeued.run == late.run
    await work.are_back([late.task_id])
    await work.host.commander.start(ALICE)
    await work.runs_again(late)
    await work.has_run_twice()


async def test_a_drain_that_is_cut_short_ends_late_tasks_for_good_and_gives_back_the_rest(work: Work) -> None:
    nap, late = await work.running("nap", 60.0), await work.late()
    waiting = await work.held_back()
    draining = work.host.begin(work.host.commander.stop(ALICE, timeout=60.0))
    await work.host.process_is("worker", "draining")
    result = await work.host.commander.stop(ALICE, mode="immediate")
    assert (result.verdict, result.tasks_killed) == ("stopped", 2)
    assert (await draining).verdict == "stopped"
    for started in (nap, late):
        assert (await work.host.seen(TaskFailed, task_id=started.task_id)).error == STOPPED
    await work.are_back(waiting)


async def test_what_is_sent_while_a_worker_drains_is_not_lost_when_the_drain_is_cut_short(work: Work) -> None:
    await work.running("stubborn")
    draining = work.host.begin(work.host.commander.stop(ALICE, timeout=60.0))
    await work.host.process_is("worker", "draining")
    sent = []
    until = asyncio.get_running_loop().time() + 0.6  # Redis pops for whoever waited, for up to a second after the TERM
    while asyncio.get_running_loop().time() < until:
        sent.append(await work.send("empty"))
    assert (await work.host.commander.stop(ALICE, mode="immediate")).verdict == "stopped"
    assert (await draining).verdict == "stopped"
    await work.are_back(sent)


async def test_what_a_worker_held_returns_once_its_broker_is_back(work: Work, valkey: Redis) -> None:
    await work.running("nap", 60.0)
    await work.running("nap", 60.0)
    waiting = await work.held_back()
    worker = await work.host.pid("worker")
    await valkey.stop()
    os.kill(worker, signal.SIGKILL)
    await eventually(lambda: _said(work.host, "failed (exit code"), "a try that failed")
    await valkey.start()
    for task_id in waiting[:3]:
        await work.host.seen(TaskSucceeded, task_id=task_id)
    await work.holds({waiting[3]})
    assert not await work.host.of(TaskStarted, task_id=waiting[3])


async def _said(host: Host, words: str) -> bool:
    return words in host.log


async def test_a_worker_that_somebody_kills_loses_nothing_that_it_held(work: Work) -> None:
    nap, late = await work.running("nap", 60.0), await work.late()
    waiting = await work.held_back()
    os.kill(await work.host.pid("worker"), signal.SIGKILL)
    assert (await work.host.seen(TaskFailed, task_id=nap.task_id)).outcome == "worker_lost"
    requeued = await work.host.seen(TaskRequeued, task_id=late.task_id)
    assert requeued.outcome == "worker_lost"
    for task_id in waiting[:3]:
        await work.host.seen(TaskSucceeded, task_id=task_id)
    await work.runs_again(late)
    await work.has_run_twice()


async def test_a_task_that_brings_down_its_worker_twice_is_not_handed_out_a_third_time(work: Work) -> None:
    late = await work.late()
    os.kill(await work.host.pid("worker"), signal.SIGKILL)
    await work.runs_again(late)
    os.kill(await work.host.pid("worker"), signal.SIGKILL)
    await work.host.process_is("worker", "backoff")
    nap = await work.send("nap", 0.0)
    await work.host.seen(TaskSucceeded, task_id=nap)
    assert await work.unacknowledged() == {late.task_id}
    assert work.late_runs == 2


async def test_what_a_worker_held_that_died_without_its_controller_returns_with_the_controller(work: Work) -> None:
    await work.running("nap", 60.0)
    await work.running("nap", 60.0)
    waiting = await work.held_back()
    worker = await work.host.pid("worker")
    await work.host.end_hard()
    os.kill(worker, signal.SIGKILL)
    work.host.start()
    for task_id in waiting[:3]:
        await work.host.seen(TaskSucceeded, task_id=task_id)
    await work.holds({waiting[3]})
    assert not await work.host.of(TaskStarted, task_id=waiting[3])


async def test_a_worker_that_is_stopped_at_once_while_tasks_pour_in_loses_none_and_repeats_none(work: Work) -> None:
    async def pour() -> list[str]:
        return [await work.send("empty") for _ in range(300)]

    pouring = work.host.begin(pour())
    await work.host.seen(TaskSucceeded)
    assert (await work.host.commander.stop(ALICE, mode="immediate")).verdict == "stopped"
    sent = set(await pouring)

    async def accounted() -> bool:
        ended = {event.task_id for kind in (TaskSucceeded, TaskFailed) for event in await work.host.of(kind)}
        missing = sent - ended - set(await work.queued())
        assert not missing
        return True

    await eventually(accounted, "every task")
    assert not await work.unacknowledged()
    assert not [task_id for task_id in await work.queued() if await work.result(task_id)], "done, and to be done again"
