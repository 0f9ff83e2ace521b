"""What none of us wrote into Redis is put aside or ignored wherever it is read, and ends nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
STREAMS = (names.EVENTS, names.COMMANDS, names.CHANGES)
#: No text, no JSON, no message, JSON that is too deep, and other fields than ours.
ENTRIES: list[dict[FieldT, EncodableT]] = [
    {b"data": b"\xff\xfe\xfd"},
    {b"data": b"neither { nor ]"},
    {b"data": b'{"type":"TaskStarted","at":7}'},
    {b"data": b'{"type":"HostSeen","x":' + b"[" * 200_000},
    {b"nonsense": b"\xff", b"more": b"1"},
]

Put = Callable[[Redis], Awaitable[Any]]


class Poison(NamedTuple):
    """Malformed values: how they come into Redis, and where dead letters list them, if they block the key."""

    name: str
    puts: Sequence[Put]
    dead: str = ""
    letters: int = 1


def a_list(key: str) -> Put:
    """A key of another type, whatever it held before."""

    async def put(redis: Redis) -> None:
        async with redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.rpush(key, "what nobody wrote")
            await pipe.execute()

    return put


def another_type(key: str) -> Poison:
    return Poison(f"{key} is a list", [a_list(key)], names.dead(key))


def entry(stream: str, fields: dict[FieldT, EncodableT]) -> Put:
    return lambda redis: redis.xadd(stream, fields)


def entries(stream: str) -> Poison:
    puts = [entry(stream, fields) for fields in ENTRIES]
    return Poison(f"{stream} has entries that nobody can read", puts, names.dead(stream), len(puts))


def members(key: str, *names_of_hosts: bytes) -> Poison:
    found = [lambda redis, name=name: redis.zadd(key, {name: "inf"}) for name in names_of_hosts]
    return Poison(f"{key} has members of ours that are none", found)


def field(key: str, name: str, value: bytes) -> Put:
    return lambda redis: redis.hset(key, name, value)


EVENTS_DEAD = names.dead(names.EVENTS)
LEASE, RUNS, HOLDER = names.beat_lease(LABEL), names.beat_runs(LABEL), names.host_holder(HOST)
REVOKED = "signalbox:revocations"
NUMBERED: dict[FieldT, EncodableT] = {b"data": b"{}", b"numbers": b"\xff 1e9 x"}
POISONS = [
    *(another_type(stream) for stream in STREAMS),
    *(entries(stream) for stream in STREAMS),
    Poison("an event has no number of ours", [entry(names.EVENTS, NUMBERED)], EVENTS_DEAD),
    Poison("the dead letters are a list", [a_list(EVENTS_DEAD), entry(names.EVENTS, NUMBERED)], EVENTS_DEAD),
    another_type(names.PRESENCE),
    members(names.PRESENCE, b"\xff\xfe", b"ghost"),
    another_type(names.CANCELLED),
    members(names.CANCELLED, b"\xff\xfe", b"no\nid"),
    another_type(names.CANCELLED_LATELY),
    Poison("an addition has no time", [entry(names.CANCELLED_LATELY, {b"\xff": b"x", b"a\nb": b"y", b"id": b"z"})]),
    another_type(names.NODES),
    members(names.NODES, b"\xff\xfe"),
    another_type(HOLDER),
    Poison("the host's name is held for ever", [lambda redis: redis.set(HOLDER, b"\xff")]),
    another_type(LEASE),
    another_type(RUNS),
    Poison("a lease has no fence", [field(LEASE, "fence", b"many")], names.dead(LEASE)),
    Poison("a lease has no renewals", [field(LEASE, "renewals", b"\xff")], names.dead(LEASE)),
    Poison("an entry of a schedule was sent lately", [field(RUNS, "an entry", b"lately")]),
    another_type(REVOKED),
    Poison("a revoked id is no text", [lambda redis: redis.sadd(REVOKED, b"\xff")]),
    another_type("signalbox:credentials:mirrored"),
]


@pytest.fixture
async def redis(system: System) -> AsyncIterator[Redis]:
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
    await redis.delete(poison.dead)
    for put in poison.puts:
        await put(redis)

    running = await system.running()
    await eventually(lambda: cancelled(system, running["task_id"]), "a cancel is carried out")
    await system.task_when(running["task_id"], "failed")

    async def listed() -> bool:
        return await redis.type(poison.dead) == b"stream" and await redis.xlen(poison.dead) >= poison.letters

    if poison.dead:
        await eventually(listed, f"{poison.letters} dead letters on {poison.dead}")
    assert pids(system) == before
    assert all(service.child.running for service in system.run.services.values())
