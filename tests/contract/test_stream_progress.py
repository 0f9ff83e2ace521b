"""How far a group is with a stream, as Redis says it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.progress import progress
from signalbox.errors import BusMalformed, BusUnavailable
from support.eventually import eventually
from support.stores.server import Redis

STREAM, GROUP = "a-stream", "a-group"


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Any]:
    async with Client.from_url(valkey.url) as client:
        yield client


async def behind(redis: Any) -> float:
    return (await progress(redis, STREAM, GROUP)).behind


async def test_where_nothing_was_published_nobody_is_behind(redis: Any) -> None:
    found = await progress(redis, STREAM, GROUP)
    assert (found.oldest, found.idle, found.behind) == (None, None, 0.0)


async def test_without_a_group_the_oldest_entry_waits(redis: Any) -> None:
    await redis.xadd(STREAM, {"data": "a"}, id="1000-0")
    await redis.xadd(STREAM, {"data": "b"})
    assert await behind(redis) > 1e9


async def test_an_entry_waits_until_it_is_acknowledged_not_until_it_is_read(redis: Any) -> None:
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    assert await behind(redis) == 0.0
    first = await redis.xadd(STREAM, {"data": "a"}, id="1000-0")
    second = await redis.xadd(STREAM, {"data": "b"})
    assert await behind(redis) > 1e9
    await redis.xreadgroup(GROUP, "a member", {STREAM: ">"})
    assert await behind(redis) > 1e9
    await redis.xack(STREAM, GROUP, first)
    assert (await progress(redis, STREAM, GROUP)).oldest is not None
    assert await behind(redis) < 1e9
    await redis.xack(STREAM, GROUP, second)
    assert await behind(redis) == 0.0


async def test_the_progress_of_one_group_says_nothing_of_another(redis: Any) -> None:
    for group in (GROUP, "another"):
        await redis.xgroup_create(STREAM, group, id="0", mkstream=True)
    [entry] = [await redis.xadd(STREAM, {"data": "a"}, id="1000-0")]
    await redis.xreadgroup("another", "a member", {STREAM: ">"})
    await redis.xack(STREAM, "another", entry)
    assert await behind(redis) > 1e9
    assert (await progress(redis, STREAM, GROUP)).idle is None


async def test_a_member_is_idle_while_it_does_not_ask(redis: Any) -> None:
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    await redis.xreadgroup(GROUP, "a member", {STREAM: ">"})

    async def idle() -> bool:
        found = (await progress(redis, STREAM, GROUP)).idle
        return found is not None and found > 0.05

    await eventually(idle, "the member is idle")
    await redis.xreadgroup(GROUP, "another member", {STREAM: ">"}, block=1)
    assert (await progress(redis, STREAM, GROUP)).idle is not None


async def test_what_is_no_stream_is_put_aside(redis: Any) -> None:
    await redis.set(STREAM, "x")
    with pytest.raises(BusMalformed):
        await progress(redis, STREAM, GROUP)
    assert await redis.get(names.set_aside(STREAM)) == b"x"


async def test_an_absent_redis_is_an_error_of_its_own(redis: Any, valkey: Redis) -> None:
    await valkey.stop()
    with pytest.raises(BusUnavailable):
        await progress(redis, STREAM, GROUP)
