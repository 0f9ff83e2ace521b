"""A cancel outlives whatever a waiting task may do meanwhile: wait for its time, be retried, published, delivered."""

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from celery import chain, chord

from signalbox.bus import names
from signalbox.bus.cancelled import remember
from signalbox.messages.events import (
    CommandDone,
    TaskCancelled,
    TaskDropped,
    TaskFailed,
    TaskReceived,
    TaskRetried,
    TaskStarted,
)
from support.celery_sender import celery_sender
from support.eventually import eventually
from support.host import ALICE, Host, a_host, exists
from support.stores.choose import a_redis
from support.written_runs import WRITTEN_RUNS, WrittenRuns, cancel_all, new_ids

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("durable")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, WRITTEN_RUNS) as one:
        await one.process_is("worker", "running")
        yield one


@pytest.fixture
def marks(host: Host, tmp_path: Path) -> WrittenRuns:
    return WrittenRuns(host, tmp_path / "marks")


async def lose_worker(host: Host) -> None:
    """Kill it, and wait until the next one is at work."""
    [worker] = host.workers()
    os.kill(worker, signal.SIGKILL)
    await host.process_is("worker", "backoff")
    await host.process_is("worker", "running")


async def test_a_task_that_waits_for_its_time_does_not_run_then_though_its_worker_is_another_one(
    host: Host, marks: WrittenRuns
) -> None:
    cancelled = await marks.send(options={"countdown": 4.0})
    other = await marks.send(options={"countdown": 4.0})
    for task_id in (cancelled, other):
        await host.seen(TaskReceived, task_id=task_id)
    assert (await host.commander.cancel(cancelled, ALICE)).verdict == "dropped"
    await lose_worker(host)
    await host.seen(TaskStarted, task_id=other)
    assert await marks.written() == [other]


async def test_a_task_that_waits_for_its_retry_does_not_run_again(host: Host, marks: WrittenRuns) -> None:
    task_id = await marks.send("again", countdown=0.5)
    await host.seen(TaskRetried, task_id=task_id)
    await host.commander.cancel(task_id, ALICE)
    assert (await host.seen(TaskDropped, task_id=task_id)).outcome == "cancelled"
    assert await marks.written() == [task_id]


@pytest.mark.parametrize("canvas", [chain, chord])
async def test_a_task_of_a_canvas_that_is_cancelled_before_it_is_published_never_runs(
    host: Host, marks: WrittenRuns, tmp_path: Path, canvas: type[chain] | type[chord]
) -> None:
    gate = tmp_path / "gate"

    def send() -> str:
        with celery_sender(host.broker, host.broker) as app:
            first, last = marks.task("until", app, gate=str(gate)), marks.task("mark", app)
            drawn = chain(first, last) if canvas is chain else chord([first], last)
            return str(drawn.apply_async().id)

    task_id = send()
    started = await marks.first()
    assert (await host.commander.cancel(task_id, ALICE)).verdict == "unknown"
    gate.touch()
    assert (await host.seen(TaskDropped, task_id=task_id)).outcome == "cancelled"
    assert await marks.written() == [started]


async def test_a_late_acknowledged_task_that_was_cancelled_is_refused_whenever_it_is_delivered_again(
    host: Host, marks: WrittenRuns
) -> None:
    task_id = await marks.send("late")
    started = await host.seen(TaskStarted, task_id=task_id)
    assert (await host.commander.cancel(task_id, ALICE)).verdict == "cancelled"
    assert not exists(started.pid)
    await lose_worker(host)
    await marks.send("late", task_id=task_id)  # as a broker does that has not heard of the end
    assert (await host.seen(TaskDropped, task_id=task_id)).outcome == "cancelled"
    assert await marks.written() == [task_id]


async def test_what_others_have_cancelled_is_dropped_and_ended_here_without_a_command(
    host: Host, marks: WrittenRuns, tmp_path: Path
) -> None:
    """As after a cancel with `--local` on another host."""
    waits = await marks.send(options={"countdown": 60.0})
    await host.seen(TaskReceived, task_id=waits)
    runs = await marks.send("until", gate=str(tmp_path / "gate"))
    pid = (await host.seen(TaskStarted, task_id=runs)).pid
    await remember(host.redis, dict.fromkeys((waits, runs), int(time.time()) + 60))
    assert (await host.seen(TaskDropped, task_id=waits)).outcome == "cancelled"
    assert (await host.seen(TaskFailed, task_id=runs)).outcome == "cancelled"
    assert not exists(pid)
    assert await marks.written() == [runs]


async def test_a_redis_that_was_emptied_is_told_again_what_must_not_run(host: Host, marks: WrittenRuns) -> None:
    cancelled = new_ids(3)
    await cancel_all(host, cancelled)

    async def known() -> bool:
        return all(await host.redis.zmscore(names.CANCELLED, cancelled))

    await eventually(known, "Redis has them")
    await host.redis.flushdb()
    await eventually(known, "Redis has them again")
    await marks.send_all(cancelled)
    assert await marks.written() == []


async def test_a_cancel_that_was_given_while_the_controller_was_away_is_carried_out_when_it_is_back(
    host: Host, marks: WrittenRuns, tmp_path: Path
) -> None:
    runs = await marks.send("until", gate=str(tmp_path / "gate"))
    pid = (await host.seen(TaskStarted, task_id=runs)).pid
    await host.end_hard()
    await cancel_all(host, [runs], lifetime=-1.0)
    host.start()
    await eventually(lambda: ended(host, runs), "it is ended")
    assert not exists(pid)
    assert (await host.seen(CommandDone, task_id=runs)).verdict == "cancelled"
    assert await marks.written() == [runs]


async def ended(host: Host, task_id: str) -> bool:
    """Whether the end of a cancelled task was told, by whichever way it came."""
    return bool(
        await host.of(TaskCancelled, task_id=task_id) or await host.of(TaskFailed, task_id=task_id, outcome="cancelled")
    )
