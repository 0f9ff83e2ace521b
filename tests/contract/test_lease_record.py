"""The lease of beat in a real Redis: whoever comes late, with whatever it remembers, changes nothing."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus.connection import connect
from signalbox_controller.lease.record import Record, Seen
from support.stores.server import Redis


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Client]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def ours(redis: Client) -> Record:
    return Record(redis, "shop", "us", "web-01")


@pytest.fixture
def theirs(redis: Client) -> Record:
    return Record(redis, "shop", "them", "web-02")


async def taken(record: Record, known: int = 0) -> int:
    found = await record.take(await record.look(), known)
    assert found is not None
    return found.fence


async def test_a_free_lease_goes_to_one_of_two_that_saw_it_free(ours: Record, theirs: Record) -> None:
    free = await ours.look()
    assert free == Seen()
    assert await ours.take(free, 0) is not None
    assert await theirs.take(free, 0) is None
    seen = await theirs.look()
    assert (seen.owner, seen.host, seen.fence) == ("us", "web-01", 1)
    assert ours.ours(seen)
    assert not theirs.ours(seen)


async def test_a_lease_that_was_renewed_since_it_was_seen_cannot_be_taken(ours: Record, theirs: Record) -> None:
    fence = await taken(ours)
    before = await theirs.look()
    assert await ours.renew(fence, {})
    assert await theirs.take(before, 0) is None
    before = await theirs.look()
    assert await ours.claim(fence, "nightly", 1.5)
    assert await theirs.take(before, 0) is None


async def test_a_former_holder_can_neither_send_nor_renew_nor_give_it_away(ours: Record, theirs: Record) -> None:
    old = await taken(ours)
    new = await taken(theirs)
    assert new > old
    assert not await ours.claim(old, "nightly", 1.5)
    assert not await ours.renew(old, {"nightly": 1.5})
    await ours.release(old)
    assert theirs.ours(await theirs.look())
    found = await theirs.take(await theirs.look(), new)
    assert found is not None
    assert (found.fence, found.runs) == (new + 1, {})


async def test_the_next_holder_learns_when_everything_ran_last(ours: Record, theirs: Record) -> None:
    fence = await taken(ours)
    assert await ours.claim(fence, "nightly", 1.25)
    assert await ours.claim(fence, "hourly: café", 1792000000.123456)
    assert await ours.claim(fence, "nightly", 2.5)
    await ours.release(fence)
    found = await theirs.take(await theirs.look(), 0)
    assert found is not None
    assert found.runs == {"nightly": 2.5, "hourly: café": 1792000000.123456}


async def test_what_an_emptied_redis_forgot_is_put_back_by_the_holder(
    redis: Client, ours: Record, theirs: Record
) -> None:
    fence = await taken(ours)
    await redis.flushdb()
    assert await ours.renew(fence, {"nightly": 1.5})
    assert await ours.claim(fence, "hourly", 2.5)
    seen = await theirs.look()
    assert (seen.owner, seen.host, seen.fence) == ("us", "web-01", fence)
    found = await theirs.take(seen, fence)
    assert found is not None
    assert found.runs == {"nightly": 1.5, "hourly": 2.5}


async def test_who_takes_a_forgotten_lease_gets_a_greater_fence_than_anybody_had(
    redis: Client, ours: Record, theirs: Record
) -> None:
    await taken(ours)
    old = await taken(ours)
    await redis.flushdb()
    assert await taken(theirs, known=old) == old + 1
    assert not await ours.renew(old, {})
    assert not await ours.claim(old, "nightly", 1.5)
