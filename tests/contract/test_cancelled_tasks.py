"""The ids of cancelled tasks on a real server: whoever follows them misses none, and they do not grow without bound."""

import logging
import time

import pytest
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.cancelled import Follower, release, remember
from signalbox.errors import BusUnavailable
from support.stores import server

LATER = int(time.time()) + 3600


@pytest.fixture
async def follower(redis: Redis) -> Follower:
    """One that has read everything there is."""
    one = Follower(redis)
    await one.everything()
    return one


async def test_who_comes_later_reads_everything(redis: Redis) -> None:
    untils = {f"t{number}": LATER + number for number in range(2500)}
    await remember(redis, untils)
    assert await Follower(redis).everything() == untils


async def test_who_follows_hears_of_each_addition_once(redis: Redis, follower: Follower) -> None:
    assert await follower.added() == {}
    await remember(redis, {"a": LATER, "b": LATER})
    await remember(redis, {f"t{number}": LATER for number in range(2500)})
    assert len(await follower.added() or {}) == 2502
    await remember(redis, {"a": LATER, "c": LATER})
    assert await follower.added() == {"c": LATER}
    assert await follower.added() == {}


async def test_a_task_is_remembered_for_longer_and_never_for_less(redis: Redis, follower: Follower) -> None:
    for until in (LATER, LATER + 50, LATER - 50):
        await remember(redis, {"a": until})
    assert await follower.added() == {"a": LATER + 50}
    assert await Follower(redis).everything() == {"a": LATER + 50}


async def test_who_has_lost_the_place_is_told_to_read_everything(redis: Redis, follower: Follower) -> None:
    assert await Follower(redis).added() is None  # never had one
    await remember(redis, {"a": LATER})
    await follower.added()
    await redis.flushdb()
    await remember(redis, {"b": LATER})
    assert await follower.added() is None
    assert await follower.everything() == {"b": LATER}
    assert await follower.added() == {}


@pytest.mark.parametrize("seen", [True, False])
async def test_a_redis_that_was_emptied_and_stays_so_is_noticed(redis: Redis, follower: Follower, seen: bool) -> None:
    await remember(redis, {"a": LATER})
    if seen:
        await follower.added()
    await redis.flushdb()
    assert await follower.added() is None
    assert await follower.everything() == {}
    assert await follower.added() == {}


async def test_more_than_can_be_followed_is_read_anew(redis: Redis, follower: Follower) -> None:
    await remember(redis, {"a": LATER})
    await follower.added()
    await redis.xtrim(names.CANCELLED_LATELY, maxlen=0, approximate=False)
    await remember(redis, {"b": LATER})
    assert await follower.added() is None


async def test_what_its_time_is_over_of_is_forgotten(redis: Redis) -> None:
    await remember(redis, {"old": int(time.time()) - 1, "new": LATER})
    assert await Follower(redis).everything() == {"new": LATER}


async def test_beyond_the_limit_the_oldest_are_forgotten_and_it_is_said(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await remember(redis, {f"t{number}": LATER + number for number in range(10)}, limit=10)
    assert not caplog.messages
    await remember(redis, {"t10": LATER + 10, "t11": LATER + 11}, limit=10)
    assert caplog.messages == ["More than 10 cancelled tasks are to be remembered: the 2 oldest are forgotten"]
    assert set(await Follower(redis).everything()) == {f"t{number}" for number in range(2, 12)}


async def test_a_redis_that_is_away_says_so(valkey: server.Redis, redis: Redis, follower: Follower) -> None:
    await valkey.stop()
    for work in (remember(redis, {"a": LATER}), follower.added(), follower.everything()):
        with pytest.raises(BusUnavailable):
            await work


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([("cancel", 10), ("allow", 20)], None),
        ([("allow", 20), ("cancel", 10)], None),  # a host that was away brings back what it knew
        ([("cancel", 10), ("allow", 20), ("cancel", 30)], 30),
        ([("cancel", 30), ("allow", 20)], 30),
        ([("cancel", 10), ("allow", 20), ("cancel", 10), ("cancel", 30), ("allow", 20)], 30),
        ([("cancel", 20), ("allow", 20)], None),
        ([("allow", 20), ("cancel", 20)], 21),  # in one second: a cancel is never lost
        ([("cancel", 10), ("allow", 20), ("allow", 15)], None),
        ([("cancel", 10), ("allow", 20), ("cancel", 30), ("allow", 40)], None),
    ],
)
async def test_of_a_cancel_and_a_release_the_later_one_holds_in_whatever_order_they_come(
    redis: Redis, follower: Follower, steps: list[tuple[str, int]], refused: int | None
) -> None:
    followed: dict[str, int] = {}
    for what, seconds in steps:
        await (remember if what == "cancel" else release)(redis, {"a": LATER + seconds, "b": LATER})
        for task_id, until in (await follower.added() or {}).items():
            if until > 0 or -until >= followed.get(task_id, 0):
                followed[task_id] = max(until, 0)
    expected = None if refused is None else LATER + refused
    assert (await Follower(redis).everything()).get("a") == expected
    assert followed.get("a", 0) == (expected or 0)
