"""A key that holds what none of us wrote is put aside when it is touched, and the next try succeeds."""

import uuid

import pytest
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.cancelled import release, released
from signalbox.bus.confirmations import read_confirmation
from signalbox.bus.lock import acquire
from signalbox.bus.publisher import publish_events
from signalbox.bus.receipts import Receipts
from signalbox.bus.waiting import Question, Questions, ask
from signalbox.client.commander import Commander, Issuer
from signalbox.errors import BusMalformed
from signalbox.messages.base import utc_now
from signalbox.messages.receipts import Answered
from signalbox_api.auth.throttle import Throttle

KEY = "a key for tests that is long enough to be one"


async def is_put_aside(redis: Redis, key: str) -> bool:
    """Whether the value of `key` can be looked at, and a dead letter says so."""
    return bool(await redis.exists(names.set_aside(key)) and await redis.xlen(names.dead(key)))


async def test_a_lock(redis: Redis) -> None:
    await redis.rpush(names.RESTARTING, "x")
    with pytest.raises(BusMalformed):
        await acquire(redis, names.RESTARTING, "me", 10.0)
    assert await acquire(redis, names.RESTARTING, "me", 10.0) == "me"
    assert await is_put_aside(redis, names.RESTARTING)
    assert 0 < await redis.ttl(names.set_aside(names.RESTARTING)) <= 7 * 86400


async def test_a_lock_that_never_expires_is_nobodys(redis: Redis) -> None:
    await redis.set(names.RESTARTING, b"\xff")
    assert await acquire(redis, names.RESTARTING, "me", 10.0) == "me"
    assert await acquire(redis, names.RESTARTING, "you", 10.0) == "me"


async def test_the_receipts_of_a_command(redis: Redis) -> None:
    key, receipt = names.receipts("c"), Answered(command_id="c", at=utc_now(), verdict="cancelled")
    await redis.set(key, "x")
    with pytest.raises(BusMalformed):
        await publish_events(redis, [], [receipt])
    await publish_events(redis, [], [receipt])
    assert await Receipts(redis, "c").next(1.0) == [receipt]
    assert await is_put_aside(redis, key)
    await redis.delete(key)
    await redis.set(key, "x")
    with pytest.raises(BusMalformed):
        await Receipts(redis, "c").next(0.01)
    assert await Receipts(redis, "c").next(0.01) == []


async def test_the_cancel_of_a_task(redis: Redis) -> None:
    task_id, commander = str(uuid.uuid4()), Commander(redis, KEY)
    await redis.rpush(names.cancelling(task_id), "x")
    with pytest.raises(BusMalformed):
        await commander.cancel(task_id, Issuer(name="user:alice"), wait=0.0)
    await redis.delete(names.cancelling(task_id))
    await redis.set(names.cancelling(task_id), b"\xff")  # for ever, so that nobody could cancel it
    result = await commander.cancel(task_id, Issuer(name="user:alice"), wait=0.0)
    assert await redis.xlen(names.COMMANDS) == 1
    assert result.command_id != "\ufffd"


@pytest.mark.parametrize(
    "value", [b"\xff", b"{", b'{"x":' + b"[" * 100_000, b'{"epoch":"e2","confirmed":9}', b'{"confirmed":"9"}']
)
async def test_a_confirmation(redis: Redis, value: bytes) -> None:
    await redis.set(names.confirmed("e1"), value)
    assert await read_confirmation(redis, "e1") is None
    await redis.delete(names.confirmed("e1"))
    await redis.rpush(names.confirmed("e1"), value)
    with pytest.raises(BusMalformed):
        await read_confirmation(redis, "e1")
    assert await read_confirmation(redis, "e1") is None


async def test_a_count_of_tries_to_sign_in(redis: Redis) -> None:
    throttle = Throttle(redis)
    await throttle.count("alice", "10.0.0.1")
    for key in [key async for key in redis.scan_iter("signalbox:throttle:*")]:
        await redis.set(key, "many")
    with pytest.raises(BusMalformed):
        await throttle.count("alice", "10.0.0.1")
    await throttle.count("alice", "10.0.0.1")
    await throttle.uncount("alice", "10.0.0.1")


async def test_the_ids_that_were_released(redis: Redis) -> None:
    await redis.set(names.ALLOWED, "x")
    with pytest.raises(BusMalformed):
        await release(redis, {"t": 1})
    await release(redis, {"t": 1})
    assert await released(redis, ["t"]) == {"t": 1}
    assert await is_put_aside(redis, names.ALLOWED)


async def test_the_questions_about_waiting_tasks(redis: Redis) -> None:
    await redis.set(names.WAITING, "x")
    question = Question(asked_at=utc_now(), tasks=())
    with pytest.raises(BusMalformed):
        await ask(redis, question)
    await ask(redis, question)
    assert await Questions(redis).read() == [question]
    assert await is_put_aside(redis, names.WAITING)
