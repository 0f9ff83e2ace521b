"""A task that was cancelled while it waited never runs, however many there are, whatever dies, and whoever joins."""

import os
import signal
import time
from pathlib import Path

import pytest

from signalbox.bus import names
from signalbox.bus.cancelled import LIMIT, remember
from signalbox.messages.events import CommandDone, TaskDropped
from support.eventually import eventually
from support.host import a_host
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis
from support.written_runs import WRITTEN_RUNS, WrittenRuns, cancel_all, new_ids

#: Celery stops with its controller, and starts with it.
TOGETHER = {"SIGNALBOX_ON_EXIT": "stop"}
MANY = 1000


@pytest.fixture(params=["redis", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> str:
    """Where the tasks wait: in the Redis of the host, or in a place of their own."""
    if request.param == "redis":
        return ""
    rabbit: RabbitMQ = request.getfixturevalue("rabbit")
    return rabbit.url_of(rabbit.next_place())


@pytest.mark.parametrize("kill", [False, True], ids=["", "killed in the middle"])
async def test_of_a_thousand_that_were_cancelled_while_everything_was_down_none_runs(
    tmp_path: Path, valkey: Redis, broker: str, kill: bool
) -> None:
    async with a_host(tmp_path / "host", valkey, WRITTEN_RUNS, broker, **TOGETHER) as host:
        marks, cancelled = WrittenRuns(host, tmp_path / "marks"), new_ids(MANY)
        await host.process_is("worker", "running")
        await host.end(signal.SIGTERM)
        assert host.workers() == []
        await marks.send_all(cancelled)
        await cancel_all(host, cancelled, lifetime=-1.0)
        host.start()
        if kill:
            await host.seen(TaskDropped)
            await host.end_hard()
            for pid in host.workers():
                os.kill(pid, signal.SIGKILL)
            host.start()
            # That the killed worker had refused some may have been lost with it: delivered again, they do not run.
            await marks.send_all(cancelled)

        async def all_refused() -> bool:
            """What the killed worker held comes back, perhaps after all that was sent since."""
            return {event.task_id for event in await host.of(TaskDropped, outcome="cancelled")} == set(cancelled)

        await eventually(all_refused, "each is refused")
        assert await marks.written() == []


async def test_a_host_that_joins_later_refuses_what_was_cancelled_before_it_was_there(
    tmp_path: Path, valkey: Redis
) -> None:
    cancelled = new_ids(20)
    async with a_host(tmp_path / "one", valkey, WRITTEN_RUNS, **TOGETHER) as one:
        await one.process_is("worker", "running")
        await cancel_all(one, cancelled, lifetime=0.5)  # too old for a newcomer to read
        for task_id in cancelled:
            await one.seen(CommandDone, task_id=task_id)
        await one.end(signal.SIGTERM)
        await WrittenRuns(one, tmp_path / "marks").send_all(cancelled)
    async with a_host(tmp_path / "two", valkey, WRITTEN_RUNS, SIGNALBOX_HOSTNAME="web-02") as two:
        assert await WrittenRuns(two, tmp_path / "marks").written() == []
        dropped = await two.of(TaskDropped, outcome="cancelled")
        assert {(event.host, event.task_id) for event in dropped} == {("web-02", task_id) for task_id in cancelled}


async def test_a_hundred_thousand_cancelled_tasks_are_refused_and_the_worker_starts(
    tmp_path: Path, valkey: Redis
) -> None:
    cancelled = new_ids(LIMIT)
    async with a_host(tmp_path / "host", valkey, WRITTEN_RUNS, **TOGETHER) as host:
        await host.process_is("worker", "running")
        for ids in ([], cancelled):
            await host.end(signal.SIGTERM)
            await remember(host.redis, dict.fromkeys(ids, int(time.time()) + 3600))
            host.start()
            await host.process_is("worker", "running")
        assert await host.redis.zcard(names.CANCELLED) == LIMIT
        marks = WrittenRuns(host, tmp_path / "marks")
        await marks.send_all([cancelled[0], cancelled[-1]])
        assert await marks.written() == []
