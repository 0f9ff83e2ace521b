"""The lease of beat in a real Redis: whoever comes late, with whatever it remembers, changes nothing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import UNAVAILABLE
from signalbox_controller.beat_lease.fencing import FencingTokens
from signalbox_controller.beat_lease.holder import LeaseHolder
from signalbox_controller.beat_lease.record import EntryTimes, Grant, LeaseRecord, LeaseState, Renewal
from support.eventually import HANGS, eventually
from support.stores.server import Redis


@pytest.fixture
def ours(redis: Client) -> LeaseRecord:
    return LeaseRecord(redis, "shop", "us", "web-01")


@pytest.fixture
def theirs(redis: Client) -> LeaseRecord:
    return LeaseRecord(redis, "shop", "them", "web-02")


async def taken(record: LeaseRecord, known: int = 0) -> int:
    found = await record.take(await record.read(), known)
    assert found is not None
    return found.fence


class Beat:
    """A beat that runs as soon as it may."""

    competes = True
    present = True

    def __init__(self) -> None:
        self.fence = 0
        self.runs: EntryTimes = {}
        self.permitted = asyncio.Event()

    def answers(self) -> bool:
        return True

    def permit(self, taken: Grant) -> None:
        self.fence, self.runs = taken.fence, taken.runs
        self.permitted.set()

    def revoke(self, why: str, *, kill: bool = False) -> None:
        raise AssertionError(why, kill)

    def released(self) -> None:
        return

    def stand_by(self, host: str) -> None:
        raise AssertionError(host)

    def redis_is_away(self) -> None:
        return


@asynccontextmanager
async def a_holder(record: LeaseRecord, folder: Path) -> AsyncIterator[tuple[LeaseHolder, Beat]]:
    """A controller that has got the lease, and keeps it until the body ends."""
    holder, beat = LeaseHolder(record, FencingTokens(folder / "leases.json"), "shop", 1.0), Beat()
    keeping = asyncio.create_task(holder.run(beat))
    try:
        async with asyncio.timeout(HANGS):
            await beat.permitted.wait()
        yield holder, beat
    finally:
        keeping.cancel()


async def test_a_free_lease_goes_to_one_of_two_that_saw_it_free(ours: LeaseRecord, theirs: LeaseRecord) -> None:
    free = await ours.read()
    assert free == LeaseState()
    assert await ours.take(free, 0) is not None
    assert await theirs.take(free, 0) is None
    seen = await theirs.read()
    assert (seen.owner, seen.host, seen.fence) == ("us", "web-01", 1)
    assert ours.ours(seen)
    assert not theirs.ours(seen)


async def test_a_lease_that_was_renewed_since_it_was_seen_cannot_be_taken(
    ours: LeaseRecord, theirs: LeaseRecord
) -> None:
    fence = await taken(ours)
    before = await theirs.read()
    assert await ours.renew(fence, {})
    assert await theirs.take(before, 0) is None
    before = await theirs.read()
    assert await ours.claim(fence)
    assert await theirs.take(before, 0) is None


async def test_a_former_holder_can_neither_send_nor_renew_nor_give_it_away(
    ours: LeaseRecord, theirs: LeaseRecord
) -> None:
    old = await taken(ours)
    new = await taken(theirs)
    assert new > old
    assert not await ours.claim(old)
    assert await ours.renew(old, {"nightly": 1.5}) is Renewal.LOST
    await ours.release(old)
    assert theirs.ours(await theirs.read())
    found = await theirs.take(await theirs.read(), new)
    assert found is not None
    assert (found.fence, found.runs) == (new + 1, {})


async def test_the_next_holder_learns_when_everything_ran_last(ours: LeaseRecord, theirs: LeaseRecord) -> None:
    fence = await taken(ours)
    assert await ours.renew(fence, {"nightly": 1.25})
    assert await ours.renew(fence, {"hourly: café": 1792000000.123456}, "a lock")
    assert await ours.renew(fence, {"nightly": 2.5})
    await ours.release(fence)
    found = await theirs.take(await theirs.read(), 0)
    assert found is not None
    assert found.runs == {"nightly": 2.5, "hourly: café": 1792000000.123456}
    assert found.lock == "a lock"


async def test_what_was_not_sent_when_its_holder_died_is_due_for_the_next_one(
    ours: LeaseRecord, theirs: LeaseRecord
) -> None:
    fence = await taken(ours)
    assert await ours.renew(fence, {"nightly": 1.25})
    assert await ours.claim(fence), "and it died before it could send"
    found = await theirs.take(await theirs.read(), 0)
    assert found is not None
    assert found.runs == {"nightly": 1.25}


async def test_what_an_emptied_redis_forgot_is_put_back_by_the_holder(
    redis: Client, ours: LeaseRecord, theirs: LeaseRecord
) -> None:
    fence = await taken(ours)
    await redis.flushdb()
    assert await ours.renew(fence, {"nightly": 1.5}, "a lock")
    assert await ours.renew(fence, {"hourly": 2.5})
    seen = await theirs.read()
    assert (seen.owner, seen.host, seen.fence) == ("us", "web-01", fence)
    found = await theirs.take(seen, fence)
    assert found is not None
    assert found.runs == {"nightly": 1.5, "hourly": 2.5}
    assert found.lock == "a lock"


async def test_the_times_of_a_schedule_are_put_back_into_a_redis_that_was_emptied(
    redis: Client, ours: LeaseRecord, tmp_path: Path
) -> None:
    async with a_holder(ours, tmp_path) as (holder, beat):
        await holder.sent(beat.fence, {"nightly": 1.5})
        await redis.flushdb()

        async def back() -> bool:
            return await redis.hgetall(names.beat_runs("shop")) == {b"nightly": b"1.5"}

        await eventually(back, "the time at which the nightly task was sent")


async def test_what_was_sent_while_redis_was_away_is_known_as_soon_as_it_is_back(
    valkey: Redis, redis: Client, ours: LeaseRecord, tmp_path: Path
) -> None:
    async with a_holder(ours, tmp_path) as (holder, beat):
        assert await holder.claim(beat.fence)
        await valkey.stop()
        await holder.sent(beat.fence, {"nightly": 1.5})
        assert not await holder.claim(beat.fence)
        await valkey.start()

        async def back() -> bool:
            with contextlib.suppress(*UNAVAILABLE):
                return await redis.hgetall(names.beat_runs("shop")) == {b"nightly": b"1.5"}
            return False

        await eventually(back, "the time at which the nightly task was sent")


async def test_a_holder_whose_clock_was_ahead_does_not_keep_the_next_one_silent(
    ours: LeaseRecord, theirs: LeaseRecord, tmp_path: Path
) -> None:
    fence = await taken(theirs)
    assert await theirs.renew(fence, {"hourly": time.time() + 3600.0, "nightly": 1.5})
    await theirs.release(fence)
    async with a_holder(ours, tmp_path) as (_, beat):
        assert beat.runs["hourly"] <= time.time()
        assert beat.runs["nightly"] == 1.5


async def test_who_takes_a_forgotten_lease_gets_a_greater_fence_than_anybody_had(
    redis: Client, ours: LeaseRecord, theirs: LeaseRecord
) -> None:
    await taken(ours)
    old = await taken(ours)
    await redis.flushdb()
    assert await taken(theirs, known=old) == old + 1
    assert not await ours.renew(old, {})
    assert not await ours.claim(old)
