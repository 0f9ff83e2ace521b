"""Many tasks cancelled at once: each has its outcome, none starts, and the worker goes on as if nothing had been."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.local.ask import ask
from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTasks
from signalbox.messages.events import TaskDropped, TaskReceived, TaskStarted, TaskSucceeded
from signalbox.messages.receipts import Answered
from support.eventually import eventually
from support.host import ALICE, Host, a_host, exists
from support.loop_time import GREEDY, send_many
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Tasks that wait; `benchmarks/bulk_cancel.py` does the same with ten thousand, and measures.
MANY = 2_000


class Worker:
    """The host of a worker that takes in whatever there is."""

    def __init__(self, host: Host) -> None:
        self.host = host

    async def waiting(self, count: int) -> list[str]:
        """Send tasks, and wait until the worker has taken all of them in; their ids."""
        ids = await asyncio.to_thread(send_many, self.host.celery, count)

        async def look() -> bool:
            received = {event.task_id for event in await self.host.of(TaskReceived)}
            return received >= set(ids)

        await eventually(look, f"{count} tasks received")
        return ids

    async def started(self, ids: list[str]) -> set[str]:
        """Those of these tasks that ever ran."""
        return {event.task_id for event in await self.host.of(TaskStarted)} & set(ids)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    folder = tmp_path_factory.mktemp("many")
    async with (
        a_redis(folder / "redis") as redis,
        a_host(folder / "host", redis, GREEDY, TURNS_FILE=str(folder / "turns")) as host,
    ):
        await host.process_is("greedy", "running")
        yield Worker(host)


async def test_thousands_that_wait_are_cancelled_and_the_worker_goes_on(worker: Worker) -> None:
    host = worker.host
    runs = [await host.running(seconds=600.0) for _ in range(2)]
    pid = await host.pid("greedy")
    waits = await worker.waiting(MANY)
    progress: list[tuple[int, int]] = []

    result = await host.commander.cancel_many(waits, ALICE, wait=60.0, on_progress=lambda *told: progress.append(told))
    await host.commander.cancel_many([run.task_id for run in runs], ALICE, wait=30.0)

    assert result.counts == {"dropped": MANY}
    assert [task.task_id for task in result.tasks] == waits
    assert progress == sorted(progress)
    assert progress[-1] == (MANY, MANY)
    assert not await worker.started(waits)
    assert await host.pid("greedy") == pid


async def test_what_runs_waits_and_is_still_in_a_queue_is_cancelled_together(worker: Worker) -> None:
    host = worker.host
    runs = [await host.running(seconds=600.0) for _ in range(2)]
    waits = await worker.waiting(500)
    queued = await asyncio.to_thread(send_many, host.celery, 50, queue="nobody listens")

    result = await host.commander.cancel_many([*waits, *queued, *(run.task_id for run in runs)], ALICE, wait=60.0)

    assert result.counts == {"dropped": 500, "unknown": 50, "cancelled": 2}
    assert not any(exists(run.pid) for run in runs)
    assert not await worker.started([*waits, *queued])


async def test_each_waiting_task_is_told_to_be_dropped_once(worker: Worker) -> None:
    runs = [await worker.host.running(seconds=600.0) for _ in range(2)]
    waits = await worker.waiting(300)

    await worker.host.commander.cancel_many([*waits, *(run.task_id for run in runs)], ALICE, wait=30.0)

    told = Counter(event.task_id for event in await worker.host.of(TaskDropped, outcome="cancelled"))
    assert {told[task_id] for task_id in waits} == {1}


async def test_a_slot_that_becomes_free_passes_hundreds_of_refused_tasks_by(worker: Worker) -> None:
    """Celery passes a slot on by recursion, and ends with a RecursionError after some 150 refused tasks in a row."""
    host = worker.host
    pid = await host.pid("greedy")
    runs = [await host.running(seconds=600.0) for _ in range(2)]
    waits = await worker.waiting(1_000)
    await host.commander.cancel_many(waits, ALICE, wait=30.0)

    for run in runs:
        await host.commander.cancel(run.task_id, ALICE)
    quick = await host.send("reports.count_stock", seconds=0.05)

    await host.seen(TaskSucceeded, task_id=quick)
    assert await host.pid("greedy") == pid
    assert not await worker.started(waits)


async def test_every_task_has_an_outcome_of_its_own(worker: Worker) -> None:
    host = worker.host
    quick = await host.send("reports.count_stock", seconds=0.05)
    await host.seen(TaskSucceeded, task_id=quick)
    stubborn = await host.running("stubborn.ignore_term", seconds=120.0)
    long = await host.running(seconds=600.0)
    waits = (await worker.waiting(1))[0]
    nobody = str(uuid.uuid4())

    ids = [quick, stubborn.task_id, long.task_id, waits, nobody, waits]
    result = await host.commander.cancel_many(ids, ALICE, grace=0.5, wait=30.0)

    assert {task.task_id: task.verdict for task in result.tasks} == {
        quick: "unknown",  # it is over, and no worker holds it: what became of it is for the record to say
        stubborn.task_id: "cancelled",
        long.task_id: "cancelled",
        waits: "dropped",
        nobody: "unknown",
    }
    assert not exists(stubborn.pid)
    assert not result.verified


async def test_the_operator_on_the_host_cancels_many_without_the_bus(worker: Worker) -> None:
    host = worker.host
    runs = [await host.running(seconds=600.0) for _ in range(2)]
    waits = await worker.waiting(200)
    now = utc_now()
    command = CancelTasks(
        command_id=str(uuid.uuid4()),
        issued_by="",
        issued_at=now,
        expires_at=now + timedelta(seconds=60),
        task_ids=(*waits, *(run.task_id for run in runs)),
    )

    answer = await asyncio.to_thread(ask, host.data, command, 30.0)

    assert isinstance(answer, Answered)
    assert Counter(task.verdict for task in answer.tasks) == {"dropped": 200, "cancelled": 2}
    assert answer.verdict == "cancelled"


async def test_what_comes_later_of_those_that_were_cancelled_does_not_run(worker: Worker, tmp_path: Path) -> None:
    host, queue = worker.host, f"later-{tmp_path.name}"
    queued = await asyncio.to_thread(send_many, host.celery, 200, queue=queue, seconds=0.01)
    await host.commander.cancel_many(queued, ALICE, wait=30.0)

    host.celery.control.add_consumer(queue, destination=["greedy@web-01"])

    async def look() -> bool:
        dropped = {event.task_id for event in await host.of(TaskDropped, outcome="cancelled")}
        return dropped >= set(queued)

    await eventually(look, "all of them dropped")
    assert not await worker.started(queued)
