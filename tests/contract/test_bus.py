"""The bus on a real server: nothing is lost, nothing is done twice by accident, nothing unreadable blocks the rest."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Consumer, Entry
from signalbox.bus.presence import announce, present
from signalbox.bus.publisher import publish_events
from signalbox.errors import BusUnavailable, UnreadableMessage
from signalbox.messages.codec import decode_event
from signalbox.messages.events import EventsLost
from support.eventually import HANGS, eventually
from support.stores import server
from support.streams import BRIEFLY, fields_on, read_all, somebody_waits

AT = datetime(2026, 11, 23, tzinfo=UTC)

Open = Callable[..., Consumer]


@pytest.fixture
def consumer(redis: Redis) -> Open:
    """Makes a member of the reconciler's group on the events."""

    def open_one(name: str = "one", **options: int) -> Consumer:
        return Consumer(redis, names.EVENTS, names.RECONCILER_GROUP, name, **options)

    return open_one


async def publish(redis: Redis, *numbers: int) -> None:
    """Put events on the bus that can be told apart."""
    await publish_events(redis, [EventsLost(at=AT, host="h", worker="w", count=number) for number in numbers])


def numbers_of(entries: list[Entry]) -> list[int]:
    """Which of the events of `publish` these are."""
    return [decode_event(entry.data).count for entry in entries]


async def pending(redis: Redis) -> int:
    """How many events have been handed out and not acknowledged."""
    summary = await redis.xpending(names.EVENTS, names.RECONCILER_GROUP)
    return int(summary["pending"])


async def test_what_was_published_before_anybody_read_is_read_in_order(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1, 2, 3)

    assert numbers_of(await read_all(consumer())) == [1, 2, 3]


async def test_a_batch_is_no_larger_than_asked_for(redis: Redis, consumer: Open) -> None:
    await publish(redis, *range(5))
    one = consumer(batch=2)
    await one.read(BRIEFLY)

    assert [numbers_of(await one.read(BRIEFLY)) for _ in range(3)] == [[0, 1], [2, 3], [4]]


async def test_a_waiting_reader_hears_at_once(redis: Redis, consumer: Open) -> None:
    one = consumer()
    await read_all(one)
    waiting = asyncio.create_task(one.read(2000))
    await somebody_waits(redis)

    await publish(redis, 1)

    assert numbers_of(await asyncio.wait_for(waiting, HANGS)) == [1]


async def test_a_reader_that_is_cancelled_ends_whatever_it_was_doing(redis: Redis, consumer: Open) -> None:
    one = consumer()

    async def read_for_ever() -> None:
        while True:
            await one.acknowledge(await one.read(2000))

    for steps in range(40):
        reader = asyncio.create_task(read_for_ever())
        await publish(redis, steps)
        for _ in range(steps):
            await asyncio.sleep(0)
        reader.cancel()
        done, _ = await asyncio.wait([reader], timeout=HANGS)
        assert done, f"it went on reading, cancelled after {steps} steps"


async def test_two_members_share_the_work_and_two_groups_do_not(redis: Redis, consumer: Open) -> None:
    one, two = consumer("one", batch=1), consumer("two", batch=1)
    other = Consumer(redis, names.EVENTS, "another", "one")
    await read_all(one)
    await publish(redis, 1, 2)

    shared = numbers_of(await one.read(BRIEFLY)) + numbers_of(await two.read(BRIEFLY)) + numbers_of(await read_all(two))

    assert sorted(shared) == [1, 2]
    assert numbers_of(await read_all(other)) == [1, 2]


async def test_what_was_acknowledged_does_not_come_again(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1, 2)
    first, second = await read_all(one := consumer())

    await one.acknowledge([first])

    assert await read_all(consumer()) == [second]
    await one.acknowledge([second])
    await one.acknowledge([])
    assert await read_all(consumer()) == []
    assert await pending(redis) == 0


async def test_a_reader_that_died_finds_what_it_left_when_it_comes_back(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1, 2)
    await read_all(consumer("one"))
    await publish(redis, 3)

    assert numbers_of(await read_all(consumer("one"))) == [1, 2, 3]


async def test_a_reader_whose_effect_failed_reads_again(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1)
    one = consumer()
    entry = (await read_all(one))[0]

    one.rewind()

    assert await read_all(one) == [entry]


async def test_a_sibling_takes_over_what_a_dead_one_left(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1, 2)
    left = await read_all(consumer("dead"))
    heir = consumer("heir", claim_after_ms=1)

    async def take_over() -> list[Entry]:
        return await heir.claim()

    assert await eventually(take_over, "the claim") == left
    await heir.acknowledge(left)
    assert await pending(redis) == 0


async def test_a_sibling_that_is_still_at_it_is_left_alone(redis: Redis, consumer: Open) -> None:
    await publish(redis, 1)
    await read_all(consumer("busy"))

    assert await consumer("eager").claim() == []


async def test_a_long_inheritance_is_taken_over_batch_by_batch(redis: Redis, consumer: Open) -> None:
    await publish(redis, *range(5))
    await read_all(consumer("dead"))
    heir = consumer("heir", claim_after_ms=1, batch=2)
    found: list[int] = []

    async def take_over() -> bool:
        found.extend(numbers_of(await heir.claim()))
        return len(found) >= 5

    await eventually(take_over, "everything claimed")
    assert found == [0, 1, 2, 3, 4]


async def test_the_unreadable_is_buried_with_its_reason_and_holds_up_nothing(redis: Redis, consumer: Open) -> None:
    await redis.xadd(names.EVENTS, {"data": b"{nonsense"})
    await redis.xadd(names.EVENTS, {"colour": b"red"})  # not even a `data`
    await publish(redis, 1)
    one = consumer()
    bad, empty, good = await read_all(one)

    for entry in (bad, empty):
        with pytest.raises(UnreadableMessage) as caught:
            decode_event(entry.data)
        await one.dead_letter(entry, str(caught.value))

    dead = await fields_on(redis, names.dead(names.EVENTS))
    assert [fields[b"data"] for fields in dead] == [b"{nonsense", b"{b'colour': b'red'}"]
    assert [fields[b"position"] for fields in dead] == [bad.position, empty.position]
    assert all(fields[b"reason"] for fields in dead)
    assert await read_all(consumer()) == [good]


async def test_an_entry_that_was_trimmed_away_under_its_reader_can_still_be_buried(
    redis: Redis, consumer: Open
) -> None:
    await publish(redis, 1)
    await read_all(consumer())
    await redis.xtrim(names.EVENTS, maxlen=0, approximate=False)

    again = await read_all(one := consumer())

    assert [entry.data for entry in again] == [b""]
    await one.dead_letter(again[0], "trimmed")
    assert await pending(redis) == 0


async def test_a_flushed_server_is_survived_and_nothing_published_since_is_skipped(
    redis: Redis, consumer: Open
) -> None:
    await publish(redis, 1)
    one = consumer()
    old = await read_all(one)

    await redis.flushall()
    await publish(redis, 2)

    assert numbers_of(await read_all(one)) == [2]
    await one.acknowledge(old)


async def test_a_flush_under_a_waiting_reader_is_survived(redis: Redis, consumer: Open) -> None:
    one = consumer()
    await read_all(one)
    waiting = asyncio.create_task(one.read(2000))
    await somebody_waits(redis)

    await redis.flushall()

    assert await asyncio.wait_for(waiting, HANGS) == []
    await publish(redis, 1)
    assert numbers_of(await read_all(one)) == [1]


async def test_claims_of_a_vanished_group_are_empty(redis: Redis, consumer: Open) -> None:
    await redis.flushall()

    assert await consumer().claim() == []


async def test_a_restart_under_a_waiting_reader_is_told_and_then_survived(
    redis: Redis, consumer: Open, valkey: server.Redis
) -> None:
    await publish(redis, 1)
    one = consumer()
    left = await read_all(one)
    waiting = asyncio.create_task(one.read(2000))
    await somebody_waits(redis)

    await valkey.stop()
    with pytest.raises(BusUnavailable, match="Redis does not answer"):
        await waiting
    with pytest.raises(BusUnavailable):
        await publish(redis, 2)
    await valkey.start()
    await publish(redis, 3)

    # What was not acknowledged comes again: its answer may have been lost on the way.
    assert numbers_of(await read_all(one)) == [1, 3]
    await one.acknowledge(left)


async def test_a_server_that_came_back_empty_is_survived(redis: Redis, consumer: Open, valkey: server.Redis) -> None:
    one = consumer()
    await publish(redis, 1)
    await read_all(one)

    await valkey.kill()
    with pytest.raises(BusUnavailable):
        await one.read(BRIEFLY)
    await valkey.start()
    await redis.flushall()
    await publish(redis, 2)

    assert numbers_of(await read_all(one)) == [2]


async def test_nobody_there_is_told_within_the_time_out(unused_tcp_port: int) -> None:
    client = connect(f"redis://127.0.0.1:{unused_tcp_port}/0")
    one = Consumer(client, names.EVENTS, "g", "one")

    for call in (one.read(BRIEFLY), one.claim(), publish(client, 1), present(client), announce(client, "h")):
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(call, HANGS)
    await client.aclose()
