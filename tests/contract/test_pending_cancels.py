"""What a group has yet to handle can be looked at without taking it: a worker must not start before it is known."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.consumer import Consumer
from signalbox.bus.publisher import publish_command
from signalbox.errors import BusUnavailable
from signalbox.messages.base import utc_now
from signalbox.messages.commands import AllowTask, CancelTask, CancelTasks, Command, StopProcesses
from signalbox_controller.cancelling.cancelled_ids import Intent, pending_intents
from support.stores import server

KEY = "a key that is long enough to be one"


@pytest.fixture
def consumer(redis: Redis) -> Consumer:
    return Consumer(redis, names.COMMANDS, names.host_group("web-07"), "web-07", batch=2)


async def give(redis: Redis, kind: type[Command], key: str = KEY, **fields: Any) -> None:
    now = utc_now() - timedelta(hours=1)  # however old
    command = kind(command_id=str(uuid.uuid4()), issued_by="user:alice", issued_at=now, expires_at=now, **fields)
    await publish_command(redis, key, command)


async def ahead(consumer: Consumer) -> list[tuple[str, ...]]:
    return [_tasks(command) async for command in pending_intents(consumer, KEY)]


def _tasks(command: Intent) -> tuple[str, ...]:
    return command.task_ids if isinstance(command, CancelTasks) else (command.task_id,)


async def test_it_is_what_was_not_read_and_what_was_read_and_not_done(redis: Redis, consumer: Consumer) -> None:
    await consumer.read(1)  # makes the group
    for number in range(6):
        await give(redis, CancelTask, task_id=f"t{number}")
    first = await consumer.read(1)
    await consumer.acknowledge(first)
    assert len(await consumer.read(1)) == 2  # in the middle of it
    assert await ahead(consumer) == [("t2",), ("t3",), ("t4",), ("t5",)]
    assert [entry.position for entry in await consumer.read(1)] != []  # nothing was taken
    assert await ahead(consumer) == [("t2",), ("t3",), ("t4",), ("t5",)]


async def test_only_genuine_cancels_count(redis: Redis, consumer: Consumer) -> None:
    await consumer.read(1)
    await give(redis, StopProcesses)
    await give(redis, CancelTask, "a key that is not ours, and long enough", task_id="forged")
    await redis.xadd(names.COMMANDS, {b"data": b"nonsense"})
    await give(redis, CancelTasks, task_ids=("t1", "t2"))
    await give(redis, AllowTask, task_id="t1")
    assert await ahead(consumer) == [("t1", "t2"), ("t1",)]


async def test_a_host_that_is_new_has_nothing_ahead(redis: Redis, consumer: Consumer) -> None:
    assert await ahead(consumer) == []  # there is no stream, either
    await give(redis, CancelTask, task_id="t1")
    assert await ahead(consumer) == []


async def test_a_redis_that_is_away_says_so(valkey: server.Redis, consumer: Consumer) -> None:
    await valkey.stop()
    with pytest.raises(BusUnavailable):
        await ahead(consumer)
