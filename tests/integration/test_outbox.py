"""What the controller has to tell arrives in order, whole, and at once, however long Redis was away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import UNAVAILABLE, connect
from signalbox.bus.consumer import entries_of
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_event
from signalbox.messages.events import EventsLost, TaskCancelled, TaskReceived, TaskStarted
from signalbox.messages.receipts import Answered
from signalbox.service import background
from signalbox_controller.state import outbox as outbox_module
from signalbox_controller.state.kept_events import KeptEvents
from signalbox_controller.state.outbox import Outbox
from support.eventually import HANGS, eventually
from support.history import Life
from support.stores.server import Redis


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Client]:
    client = connect(valkey.url)
    yield client
    await client.aclose()


@asynccontextmanager
async def publishing(outbox: Outbox) -> AsyncIterator[None]:
    async with background(outbox.run):
        yield


def an_event(number: int) -> EventsLost:
    return EventsLost(at=utc_now(), worker="w@h", count=number)


async def numbers(redis: Client) -> list[int]:
    rows = entries_of(await redis.xread({names.EVENTS: b"0"}))
    events = [decode_event(row.data) for row in rows]
    return [event.count for event in events if isinstance(event, EventsLost)]


async def test_events_arrive_in_order_and_their_receipt_with_them(redis: Client) -> None:
    outbox = Outbox(redis)
    async with publishing(outbox):
        for number in range(1200):
            outbox.put(an_event(number))
        receipt = Answered(command_id="c", at=utc_now(), verdict="cancelled")
        await outbox.published(an_event(1200), receipts=[receipt])
    assert await numbers(redis) == list(range(1201))
    assert await redis.xlen(names.receipts("c")) == 1
    assert await redis.ttl(names.receipts("c")) > 0


async def test_an_event_is_on_disk_before_anybody_forgets_it_although_redis_is_away(
    valkey: Redis, redis: Client, tmp_path: Path
) -> None:
    await valkey.stop()
    outbox, told = Outbox(redis, KeptEvents(tmp_path / "events")), asyncio.Event()

    def kept() -> None:
        next_one = KeptEvents(tmp_path / "events")  # as the next controller finds it
        [event] = next_one.between(1, next_one.last)
        assert event.data is not None
        assert decode_event(event.data) == an_event_at
        told.set()

    an_event_at = an_event(7)
    async with publishing(outbox):
        outbox.put(an_event_at, kept=kept)
        assert not told.is_set()
        await asyncio.wait_for(told.wait(), HANGS)
    await valkey.start()


async def test_without_room_on_disk_an_event_is_kept_by_its_sender_until_redis_has_it(
    redis: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_events, told = KeptEvents(tmp_path / "events"), list[int]()
    monkeypatch.setattr(kept_events, "append", lambda *_: False)
    outbox = Outbox(redis, kept_events)
    outbox.put(an_event(1), kept=lambda: told.append(1))
    outbox.write()
    assert not told
    async with publishing(outbox):
        await outbox.published(an_event(2))
    assert told == [1]
    assert await numbers(redis) == [1, 2]


async def test_what_is_said_to_be_published_is_in_redis(redis: Client) -> None:
    outbox, lengths = Outbox(redis), []
    async with publishing(outbox):
        for number in range(20):
            await outbox.published(an_event(number))
            lengths.append(len(await numbers(redis)))
    assert lengths == list(range(1, 21))


async def test_nothing_waits_for_a_tick(redis: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, loop, fired = Outbox(redis), asyncio.get_running_loop(), list[object]()
    call_at = loop.call_at

    def observed(when: float, callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.TimerHandle:
        def fire() -> None:
            fired.append(callback)
            callback(*args)

        return call_at(when, fire, **context)

    async with publishing(outbox):
        monkeypatch.setattr(loop, "call_at", observed)
        for number in range(50):
            await outbox.published(an_event(number))
        assert not fired


async def test_an_outage_loses_nothing_and_changes_no_order(valkey: Redis, redis: Client) -> None:
    outbox = Outbox(redis)
    async with publishing(outbox):
        await outbox.published(an_event(0))
        await valkey.stop()
        for number in range(1, 1000):
            outbox.put(an_event(number))
        last = asyncio.ensure_future(outbox.published(an_event(1000)))

        async def noticed() -> bool:
            return not outbox.connected

        await eventually(noticed, "the outage")
        assert not last.done()
        await valkey.start()
        await asyncio.wait_for(last, HANGS)
        assert outbox.connected

    async def read() -> list[int] | None:
        try:
            return await numbers(redis)
        except UNAVAILABLE:
            return None

    assert await eventually(read, "the events") == list(range(1001))


async def test_the_course_of_tasks_is_gathered_and_a_proof_takes_along_what_waits(
    redis: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GATHER", 100 * HANGS)
    outbox, run = Outbox(redis), Life().run(2)
    await redis.config_resetstat()
    async with publishing(outbox):
        outbox.put(Life().received(1))  # the first one goes at once
        await eventually(lambda: redis.xlen(names.EVENTS), "the first event")
        outbox.put(run.started())
        for _ in range(20):
            await redis.ping()
        assert await redis.xlen(names.EVENTS) == 1
        outbox.put(run.cancelled(4))
        await eventually(lambda: _holds(redis, 3), "the proof, and what waited")
    rows = entries_of(await redis.xread({names.EVENTS: b"0"}))
    assert [type(decode_event(row.data)) for row in rows] == [TaskReceived, TaskStarted, TaskCancelled]
    assert (await redis.info("commandstats"))["cmdstat_eval"]["calls"] == 2


async def _holds(redis: Client, count: int) -> bool:
    return await redis.xlen(names.EVENTS) == count


async def test_when_it_is_full_the_agents_have_to_keep_theirs_until_there_is_room(redis: Client) -> None:
    told: list[bool] = []
    outbox = Outbox(redis, limit=100)
    outbox.on_full = told.append
    for number in range(120):
        outbox.put(an_event(number))
    assert told == [True]
    async with publishing(outbox):
        assert await outbox.drain(HANGS)
    assert told == [True, False]
    assert await numbers(redis) == list(range(120))


async def test_who_can_wait_is_held_up_while_it_is_full(redis: Client) -> None:
    outbox = Outbox(redis, limit=100)
    await outbox.wait_for_space()
    for number in range(100):
        outbox.put(an_event(number))
    waiting = asyncio.ensure_future(outbox.wait_for_space())
    done, _ = await asyncio.wait([waiting], timeout=0)
    assert not done
    async with publishing(outbox):
        await asyncio.wait_for(waiting, HANGS)
