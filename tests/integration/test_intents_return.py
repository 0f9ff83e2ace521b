"""What must not run is written to Redis with the record, and again from the record when Redis has forgotten it."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signalbox.bus.cancelled import Follower
from signalbox.bus.publisher import publish_command
from signalbox.messages.base import utc_now
from signalbox.messages.commands import AnyCommand, CancelTask, CancelTasks
from signalbox.messages.events import CommandGiven
from support.eventually import eventually
from support.reconciler import KEY, Recording, a_recording
from support.stores.server import Redis


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as one:
        yield one


def a_cancel(*task_ids: str) -> AnyCommand:
    now = utc_now()
    heading: dict[str, Any] = {"command_id": str(uuid.uuid4()), "issued_by": "user:alice", "issued_at": now}
    if len(task_ids) == 1:
        return CancelTask(**heading, expires_at=now + timedelta(seconds=60), task_id=task_ids[0])
    return CancelTasks(**heading, expires_at=now + timedelta(seconds=60), task_ids=task_ids)


async def refused(recording: Recording, *task_ids: str) -> list[float]:
    """Wait until Redis has exactly these; for how many more seconds."""

    async def look() -> list[float]:
        known = await Follower(recording.redis).everything()
        assert known.keys() == set(task_ids), known
        return [until - utc_now().timestamp() for until in known.values()]

    return await eventually(look, f"{task_ids} are refused")


async def test_every_cancel_is_in_redis_as_soon_as_it_is_recorded(recording: Recording) -> None:
    await recording.start()
    await publish_command(recording.redis, KEY, a_cancel("one"))
    await publish_command(recording.redis, KEY, a_cancel("some", "more"))
    await publish_command(recording.redis, "a key that is not ours, and long enough", a_cancel("forged"))
    await recording.tell(CommandGiven(at=utc_now(), host="a", command=a_cancel("on a host")))
    for seconds in await refused(recording, "one", "some", "more", "on a host"):
        assert timedelta(days=6, hours=23) < timedelta(seconds=seconds) < timedelta(days=7, seconds=1)


async def test_a_redis_that_was_emptied_is_filled_again(recording: Recording) -> None:
    reconciler = await recording.start()
    await publish_command(recording.redis, KEY, a_cancel("one"))
    await refused(recording, "one")
    await recording.redis.flushdb()
    await refused(recording, "one")
    assert await reconciler.end() == 0
    await recording.redis.flushdb()
    await recording.start()
    await refused(recording, "one")


async def test_how_long_they_are_refused_is_a_setting(recording: Recording) -> None:
    await recording.start(SIGNALBOX_REMEMBER_CANCELLED="60")
    await publish_command(recording.redis, KEY, a_cancel("one"))
    [seconds] = await refused(recording, "one")
    assert 0 < seconds < 61
