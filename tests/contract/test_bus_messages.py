"""What travels on the bus: signed commands, receipts, changes, the presence of hosts."""

import asyncio
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.consumer import Consumer
from signalbox.bus.presence import announce, present, withdraw
from signalbox.bus.publisher import publish_changes, publish_command, publish_events
from signalbox.bus.receipts import Receipts
from signalbox.errors import BadSignature
from signalbox.messages.codec import decode_command, sign, verify
from signalbox.messages.commands import StartProcesses
from signalbox.messages.events import HostLeft
from signalbox.messages.receipts import Answered, Recorded
from signalbox.messages.views import Change, HostView
from support.eventually import HANGS, eventually
from support.streams import fields_on, read_all, somebody_waits

KEY = "a key that is long enough to be one"
AT = datetime(2026, 11, 23, tzinfo=UTC)


async def test_a_command_arrives_with_a_signature_that_only_our_key_makes(redis: Redis) -> None:
    command = StartProcesses(command_id="c1", issued_by="user:alice", issued_at=AT, expires_at=AT)
    await publish_command(redis, KEY, command)

    (entry,) = await read_all(Consumer(redis, names.COMMANDS, names.host_group("web-07"), "one"))

    verify(KEY, entry.data, entry.signature)
    assert decode_command(entry.data) == command
    with pytest.raises(BadSignature):
        verify("another key that is long enough too", entry.data, entry.signature)


@pytest.mark.parametrize(
    "signature",
    [None, b"", b"0" * 64, sign("another key that is long enough too", b"data"), sign(KEY, b"other"), b"\xff\xfe"],
    ids=["missing", "empty", "made up", "of another key", "of another message", "no text"],
)
def test_what_is_not_signed_with_our_key_is_refused(signature: bytes | None) -> None:
    verify(KEY, b"data", sign(KEY, b"data"))

    with pytest.raises(BadSignature):
        verify(KEY, b"data", signature)


async def test_an_unsigned_command_arrives_without_a_signature(redis: Redis) -> None:
    await redis.xadd(names.COMMANDS, {"data": b"{}"})

    (entry,) = await read_all(Consumer(redis, names.COMMANDS, names.host_group("web-07"), "one"))

    assert entry.signature is None


async def test_receipts_are_heard_from_the_first_one_on(redis: Redis) -> None:
    answer = Answered(command_id="c1", at=AT, host="a", verdict="cancelled")
    record = Recorded(command_id="c1", at=AT, host="a")
    receipts = Receipts(redis, "c1")
    await publish_events(redis, [HostLeft(at=AT)], [answer])

    assert await receipts.next(1.0) == [answer]
    waiting = asyncio.create_task(receipts.next(2.0))
    await somebody_waits(redis)
    await publish_events(redis, [], [record])

    assert await asyncio.wait_for(waiting, HANGS) == [record]
    assert await receipts.next(0.02) == []
    assert await Receipts(redis, "c1").next(1.0) == [answer, record]
    assert await Receipts(redis, "c2").next(0.02) == []
    assert 0 < await redis.ttl(names.receipts("c1")) <= 300


async def test_a_receipt_from_the_future_is_passed_over(redis: Redis) -> None:
    answer = Answered(command_id="c1", at=AT, host="a", verdict="cancelled")
    await redis.xadd(names.receipts("c1"), {"data": b'{"type":"Applauded"}'})
    await publish_events(redis, [], [answer])

    assert await Receipts(redis, "c1").next(1.0) == [answer]


async def test_changes_are_published_in_order(redis: Redis) -> None:
    rows = [HostView(name=name, state="online", seen_at=AT, proof=None, proof_detail="") for name in ("a", "b")]

    await publish_changes(redis, [Change.of("host", row.name, row) for row in rows])

    assert [b'"key":"a"' in fields[b"data"] for fields in await fields_on(redis, names.CHANGES)] == [True, False]


async def test_a_host_is_present_until_it_withdraws_or_falls_silent(redis: Redis) -> None:
    assert await announce(redis, "stays") == 1
    assert await announce(redis, "leaves") == 2
    await announce(redis, "dies", ttl=0.05)
    await withdraw(redis, "leaves", empty=True)

    async def dead() -> bool:
        return "dies" not in await present(redis)

    await eventually(dead, "the silent host is gone")
    assert await present(redis) == {"stays"}
    assert await announce(redis, "stays") == 1
