"""Eight busy children, two of which ignore TERM: all are dead when a stop answers, and the record has all of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import psutil
import pytest

from signalbox.messages.events import TaskStarted
from support.eventually import eventually
from support.host import ALICE, SHOP, Host, a_host, exists
from support.reconciler import Recording, a_recording
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

EIGHT = SHOP.replace("concurrency = 2", "concurrency = 8")
BUSY = ["reports.count_stock"] * 6 + ["stubborn.ignore_term"] * 2
ENDED = "SELECT count(*) AS tasks FROM {} WHERE status = 'failed' AND outcome = 'stopped' AND finished_at IS NOT NULL"


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as one:
        await one.start()
        yield one


async def all_busy(host: Host) -> None:
    sent = [await host.send(task, seconds=120.0) for task in BUSY]
    for task_id in sent:
        await host.seen(TaskStarted, task_id=task_id)


async def recorded(recording: Recording) -> None:
    async def look() -> bool:
        counts = [(await recording.rows(ENDED.format(table)))[0]["tasks"] for table in ("tasks", "task_logs")]
        rows = await recording.rows("SELECT state FROM processes")
        return counts == [len(BUSY)] * 2 and [row["state"] for row in rows] == ["stopped"]

    await eventually(look, "all of it in the record")


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest, valkey: Redis) -> str:
    """The address of Celery's broker."""
    if request.param == "redis":
        return valkey.url_of(1)
    rabbit: RabbitMQ = request.getfixturevalue("rabbit")
    return rabbit.url_of(rabbit.next_place())


@pytest.mark.parametrize(("mode", "timeout"), [("immediate", None), ("graceful", 5.0)])
async def test_eight_busy_children_are_dead_when_the_stop_answers_and_then_recorded(
    tmp_path: Path,
    valkey: Redis,
    recording: Recording,
    broker: str,
    mode: Literal["graceful", "immediate"],
    timeout: float | None,
) -> None:
    async with a_host(tmp_path / "host", valkey, EIGHT, broker) as host:
        worker = (await host.process_is("worker", "running")).pid
        assert worker is not None
        await all_busy(host)
        everyone = [worker, *(child.pid for child in psutil.Process(worker).children(recursive=True))]
        clock = asyncio.get_running_loop().time
        began = clock()
        result = await host.commander.stop(ALICE, mode=mode, timeout=timeout)
        dead = clock() - began
        assert not [pid for pid in everyone if exists(pid)]
        await recorded(recording)
        took = clock() - began
        assert (result.verdict, result.tasks_killed, len(everyone)) == ("stopped", len(BUSY), 9)
        print(f"{mode}: dead after {dead:.2f} s, recorded after {took:.2f} s")  # noqa: T201
