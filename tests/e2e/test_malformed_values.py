"""What none of us wrote into Redis is put aside or ignored wherever it is read, and ends nothing."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from signalbox.bus import names
from signalbox.bus.connection import connect
from support.eventually import eventually
from support.system import System

#: As the example's application and the system's host are called.
LABEL, HOST = "shop", "testhost"
DEEP = b"[" * 200_000
STREAMS = (names.EVENTS, names.COMMANDS, names.CHANGES)
ENTRIES: dict[str, dict[FieldT, EncodableT]] = {
    "no text": {b"data": b"\xff\xfe\xfd"},
    "no JSON": {b"data": b"neither { nor ]"},
    "no message": {b"data": b'{"type":"TaskStarted","at":7}'},
    "too deep": {b"data": DEEP},
    "other fields": {b"nonsense": b"\xff", b"more": b"1"},
}


class Poison(NamedTuple):
    """A malformed value: how it comes into Redis, and the dead letters that list it, if it blocks the key."""

    name: str
    put: Callable[[Redis], Awaitable[Any]]
    dead: str = ""


def another_type(key: str) -> Poison:
    """A key that holds a list, whatever it held before."""

    async def put(redis: Redis) -> None:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rpush(key, "what nobody wrote")
            await pipe.execute()

    return Poison(f"{key} is a list", put, names.dead(key))


def entry(stream: str, what: str) -> Poison:
    return Poison(
        f"{stream} has an entry with {what}", lambda redis: redis.xadd(stream, ENTRIES[what]), names.dead(stream)
    )


def member(key: str, name: bytes, score: float | str) -> Poison:
    return Poison(f"{key} has {name!r} until {score}", lambda redis: redis.zadd(key, {name: score}))


def field(key: str, name: str, value: bytes, dead: str = "") -> Poison:
    return Poison(f"{key} has {name}={value!r}", lambda redis: redis.hset(key, name, value), dead)


LEASE, RUNS = names.beat_lease(LABEL), names.beat_runs(LABEL)
NUMBERED: dict[FieldT, EncodableT] = {b"data": b"{}", b"numbers": b"\xff 1e9 x"}
POISONS = [
    *(another_type(stream) for stream in STREAMS),
    *(entry(stream, what) for stream in STREAMS for what in ENTRIES),
    Poison(
        "an event has no number of ours", lambda redis: redis.xadd(names.EVENTS, NUMBERED), names.dead(names.EVENTS)
    ),
    another_type(names.dead(names.EVENTS)),
    another_type(names.PRESENCE),
    member(names.PRESENCE, b"\xff\xfe", "inf"),
    member(names.PRESENCE, b"ghost", "inf"),
    another_type(names.CANCELLED),
    member(names.CANCELLED, b"\xff\xfe", "inf"),
    another_type(names.CANCELLED_LATELY),
    Poison("an addition has no time", lambda redis: redis.xadd(names.CANCELLED_LATELY, {b"\xff": b"x", b"a b": b"y"})),
    another_type(names.NODES),
    member(names.NODES, b"\xff\xfe", "inf"),
    another_type(names.RESTARTING),
    another_type(names.host_holder(HOST)),
    Poison("the host's name is held for ever", lambda redis: redis.set(names.host_holder(HOST), b"\xff")),
    another_type(LEASE),
    another_type(RUNS),
    field(LEASE, "fence", b"many", names.dead(LEASE)),
    field(LEASE, "renewals", b"\xff", names.dead(LEASE)),
    field(RUNS, "an entry", b"lately"),
    another_type("signalbox:revocations"),
    Poison("a revoked id is no text", lambda redis: redis.sadd("signalbox:revocations", b"\xff")),
    another_type("signalbox:credentials:mirrored"),
]


@pytest.fixture
async def redis(system: System) -> Any:
    client = connect(system.redis.url)
    yield client
    await client.aclose()


def pids(system: System) -> dict[str, int | None]:
    return {name: service.child.pid for name, service in system.run.services.items()}


async def cancelled(system: System, task_id: str) -> bool:
    """Whether a cancel was carried out; right after a key was put aside, the api asks to try again."""
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{task_id}/")
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["status"] == "success")


@pytest.mark.parametrize("poison", POISONS, ids=lambda poison: poison.name)
async def test_a_malformed_value_ends_nothing(system: System, redis: Redis, poison: Poison) -> None:
    before = pids(system)
    known = await redis.xlen(poison.dead) if poison.dead and await redis.type(poison.dead) == b"stream" else 0
    await poison.put(redis)

    running = await system.running()
    await eventually(lambda: cancelled(system, running["task_id"]), "a cancel is carried out")
    await system.task_when(running["task_id"], "failed")
    if poison.dead:

        async def listed() -> bool:
            return await redis.type(poison.dead) == b"stream" and await redis.xlen(poison.dead) > known

        await eventually(listed, f"a dead letter on {poison.dead}")
    assert pids(system) == before
    assert all(service.child.running for service in system.run.services.values())
