"""Giving a command on a real bus: published once, heard from every host, and true to what they said."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from redis.asyncio import Redis

from signalbox import AsyncClient, Client
from signalbox.bus import names
from signalbox.bus.clock import BusClock
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Consumer
from signalbox.bus.presence import KNOWN_FOR, announce, roll_call, withdraw
from signalbox.bus.publisher import publish_events
from signalbox.client.commander import COMMAND_TTL, Commander, Issuer
from signalbox.errors import BusUnavailable, NotProven, UnknownHost, UnknownTask
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_command, verify
from signalbox.messages.commands import AnyCommand, CancelTask, StopProcesses
from signalbox.messages.receipts import Answered, ProcessReport, Recorded
from signalbox.messages.verdicts import Verdict
from support.eventually import HANGS
from support.stores import server
from support.streams import fields_on, somebody_waits

KEY = "a key that is long enough to be one"
ALICE = Issuer(name="user:alice", address="10.0.0.1", reason="it hangs")

Answer = Callable[[AnyCommand], Iterable[Answered | Recorded]]


@asynccontextmanager
async def a_replying_host(redis: Redis, name: str, answer: Answer) -> AsyncIterator[list[AnyCommand]]:
    """A host that listens and answers; yields the commands that it has read."""
    seen: list[AnyCommand] = []
    commands = Consumer(redis, names.COMMANDS, names.host_group(name), "controller")

    async def serve() -> None:
        while True:
            for entry in await commands.read(500):
                verify(KEY, entry.data, entry.signature)
                seen.append(command := decode_command(entry.data))
                await publish_events(redis, [], list(answer(command)))
                await commands.acknowledge([entry])

    await announce(redis, name)
    task = asyncio.create_task(serve())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def says(host: str, verdict: Verdict, *, recorded: bool = False) -> Answer:
    """Always the same answer."""

    def answer(command: AnyCommand) -> Iterable[Answered | Recorded]:
        task_id = command.task_id if isinstance(command, CancelTask) else None
        reports = (ProcessReport(name="worker", kind="worker", state="stopped", host=host),)
        yield Answered(
            command_id=command.command_id,
            at=utc_now(),
            host=host,
            verdict=verdict,
            task_id=task_id,
            task_name="charge" if task_id and verdict == "cancelled" else "",
            processes=() if task_id else reports,
            tasks_killed=0 if task_id else 2,
        )
        if recorded:
            yield Recorded(command_id=command.command_id, at=utc_now(), host=host)

    return answer


async def published(redis: Redis) -> list[AnyCommand]:
    """Every command on the bus."""
    return [decode_command(fields[b"data"]) for fields in await fields_on(redis, names.COMMANDS)]


async def test_a_cancel_names_who_why_and_until_when(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "cancelled", recorded=True)) as seen:
        result = await Commander(redis, KEY).cancel("t1", ALICE, grace=3.0, record_wait=2.0)

    (command,) = seen
    assert isinstance(command, CancelTask)
    assert (command.task_id, command.grace) == ("t1", 3.0)
    assert (command.issued_by, command.issued_from, command.reason) == ("user:alice", "10.0.0.1", "it hangs")
    assert (command.expires_at - command.issued_at).total_seconds() == COMMAND_TTL
    assert result.verified
    assert result.recorded
    assert (result.command_id, result.task_name, result.silent) == (command.command_id, "charge", frozenset())


async def test_two_cancels_at_once_publish_one_command_and_hear_the_same(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "cancelled")):
        results = await asyncio.gather(*(Commander(redis, KEY).cancel("t1", ALICE) for _ in range(10)))
        late = await Commander(redis, KEY).cancel("t1", ALICE)

    assert len(await published(redis)) == 1
    assert {result.command_id for result in [*results, late]} == {results[0].command_id}
    assert all(result.verified for result in [*results, late])


async def test_cancels_of_different_tasks_do_not_join(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "cancelled")):
        await asyncio.gather(*(Commander(redis, KEY).cancel(task_id, ALICE) for task_id in ("t1", "t2")))

    assert {command.task_id for command in await published(redis) if isinstance(command, CancelTask)} == {"t1", "t2"}


async def test_a_cancel_that_failed_can_be_tried_again(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "unknown")):
        first = await Commander(redis, KEY).cancel("t1", ALICE)
        second = await Commander(redis, KEY).cancel("t1", ALICE)

    assert (first.verdict, second.verdict) == ("unknown", "unknown")
    assert first.command_id != second.command_id


async def test_a_failed_cancel_does_not_let_go_of_the_one_that_came_after_it(redis: Redis) -> None:
    given = asyncio.create_task(Commander(redis, KEY).cancel("t1", ALICE))
    await somebody_waits(redis)

    await redis.set(names.cancelling("t1"), "a later one")
    async with a_replying_host(redis, "a", says("a", "unknown")):
        await given

    assert await redis.get(names.cancelling("t1")) == b"a later one"


async def test_the_task_is_known_on_one_host_of_many(redis: Redis) -> None:
    async with (
        a_replying_host(redis, "a", says("a", "unknown")),
        a_replying_host(redis, "b", says("b", "cancelled")),
        a_replying_host(redis, "c", says("c", "unknown")),
    ):
        result = await Commander(redis, KEY).cancel("t1", ALICE)

    assert (result.verdict, result.silent) == ("cancelled", frozenset())


async def test_alive_on_one_host_is_alive(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "cancelled")), a_replying_host(redis, "b", says("b", "alive")):
        result = await Commander(redis, KEY).cancel("t1", ALICE)

    assert result.verdict == "alive"
    assert not result.verified


async def test_a_host_that_says_nothing_is_named(redis: Redis) -> None:
    await announce(redis, "mute")
    async with a_replying_host(redis, "a", says("a", "unknown")):
        result = await Commander(redis, KEY).cancel("t1", ALICE, wait=0.2)

    assert result.verdict is None
    assert result.silent == {"mute"}


async def test_with_nobody_there_nothing_is_claimed(redis: Redis) -> None:
    result = await Commander(redis, KEY).cancel("t1", ALICE, wait=0.1)

    assert (result.verdict, result.verified, result.recorded) == (None, False, False)


async def test_a_stop_adds_up_what_every_host_did(redis: Redis) -> None:
    async with (
        a_replying_host(redis, "a", says("a", "stopped")) as seen,
        a_replying_host(redis, "b", says("b", "stopped")),
    ):
        result = await Commander(redis, KEY).stop(ALICE, mode="immediate", timeout=7.0, wait=5.0)

    (command,) = seen
    assert isinstance(command, StopProcesses)
    assert (command.mode, command.timeout) == ("immediate", 7.0)
    assert (result.verdict, result.tasks_killed) == ("stopped", 4)
    assert {report.host for report in result.processes} == {"a", "b"}


async def test_a_stop_that_every_host_has_answered_is_done_although_redis_goes_away_then(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter[str]()
    there = BusClock.now

    async def once(clock: BusClock) -> datetime:
        asked["now"] += 1
        if asked["now"] > 1:
            raise BusUnavailable("Redis does not answer")
        return await there(clock)

    monkeypatch.setattr(BusClock, "now", once)
    async with a_replying_host(redis, "a", says("a", "stopped")):
        result = await Commander(redis, KEY).stop(ALICE, wait=5.0)

    assert (result.verdict, asked["now"]) == ("stopped", 2)


async def test_a_stop_of_one_host_waits_for_that_host_alone(redis: Redis) -> None:
    await announce(redis, "mute")
    async with a_replying_host(redis, "a", says("a", "stopped")):
        result = await asyncio.wait_for(Commander(redis, KEY).stop(ALICE, hosts=["a"], wait=600.0), HANGS)

    assert result.verdict == "stopped"


async def test_a_stop_that_one_host_did_not_answer_is_not_called_done(redis: Redis) -> None:
    await announce(redis, "mute")
    async with a_replying_host(redis, "a", says("a", "stopped")):
        result = await Commander(redis, KEY).stop(ALICE, wait=0.3)

    assert (result.verdict, result.silent) == (None, frozenset({"mute"}))


async def test_a_stop_does_not_wait_for_a_host_that_is_away_and_is_not_called_done_without_it(redis: Redis) -> None:
    await announce(redis, "gone", ttl=0.0)
    async with a_replying_host(redis, "a", says("a", "stopped")):
        result = await asyncio.wait_for(Commander(redis, KEY).stop(ALICE, wait=600.0), HANGS)

    assert (result.verdict, result.tasks_killed) == (None, 2)
    assert result.silent == result.away == {"gone"}


async def test_a_failure_is_told_also_when_another_host_is_away(redis: Redis) -> None:
    await announce(redis, "gone", ttl=0.0)
    async with a_replying_host(redis, "a", says("a", "incomplete")):
        result = await Commander(redis, KEY).stop(ALICE, wait=30.0)

    assert (result.verdict, result.away) == ("incomplete", frozenset({"gone"}))


async def test_a_stop_that_one_of_the_hosts_refused_is_not_done(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "stopped")), a_replying_host(redis, "b", says("b", "refused")):
        result = await Commander(redis, KEY).stop(ALICE, wait=5.0)

    assert result.verdict == "incomplete"
    assert result.detail.startswith("b refused")


async def test_a_stop_of_a_host_that_is_away_is_answered_soon_and_waits_for_it_on_the_bus(redis: Redis) -> None:
    await announce(redis, "gone", ttl=0.0)
    result = await asyncio.wait_for(Commander(redis, KEY).stop(ALICE, hosts=["gone"], wait=600.0), HANGS)

    assert (result.verdict, result.away) == (None, frozenset({"gone"}))
    assert len(await published(redis)) == 1


async def test_a_host_that_lost_sight_of_redis_for_a_moment_is_heard(redis: Redis) -> None:
    async with a_replying_host(redis, "a", says("a", "stopped")):
        await announce(redis, "a", ttl=0.0)
        result = await Commander(redis, KEY).stop(ALICE, wait=30.0)

    assert (result.verdict, result.silent) == ("stopped", frozenset())


async def test_a_host_that_nobody_has_heard_of_is_refused_at_once_and_nothing_is_done(redis: Redis) -> None:
    await announce(redis, "web-01")
    await announce(redis, "web-02", ttl=0.0)
    for call in (Commander(redis, KEY).stop, Commander(redis, KEY).start):
        with pytest.raises(UnknownHost, match="no host 'nowhere'; known are: web-01, web-02"):
            await asyncio.wait_for(call(ALICE, hosts=["web-01", "nowhere"], wait=600.0), HANGS)

    assert not await published(redis)


async def test_a_misspelt_option_stops_nothing(redis: Redis) -> None:
    await announce(redis, "web-01")
    with pytest.raises(TypeError, match="host"):
        await Commander(redis, KEY).stop(ALICE, host=["web-01"])  # type: ignore[call-arg]

    assert not await published(redis)


async def test_a_controller_that_left_is_known_for_as_long_as_it_left_something_running(redis: Redis) -> None:
    for host in ("full", "empty"):
        await announce(redis, host)
        await withdraw(redis, host, empty=host == "empty")
    hosts = await roll_call(redis)

    assert (hosts.present, hosts.away) == (frozenset(), frozenset({"full"}))


async def test_a_host_of_which_nothing_was_heard_for_a_week_is_forgotten(redis: Redis) -> None:
    await announce(redis, "old", ttl=-KNOWN_FOR - 1)
    await announce(redis, "a")

    assert (await roll_call(redis)).known == {"a"}


async def test_a_bus_that_is_away_is_an_error_of_its_own(unused_tcp_port: int) -> None:
    client = connect(f"redis://127.0.0.1:{unused_tcp_port}/0")
    commander = Commander(client, KEY)

    for call in (commander.cancel("t1", ALICE), commander.stop(ALICE), commander.start(ALICE)):
        with pytest.raises(BusUnavailable):
            await asyncio.wait_for(call, HANGS)
    await client.aclose()


async def test_a_service_cancels_with_the_published_client(redis: Redis, valkey: server.Redis) -> None:
    environment = {"SIGNALBOX_REDIS_URL": valkey.url, "SIGNALBOX_KEY": KEY, "SIGNALBOX_SERVICE": "billing"}

    def blocking() -> str:
        with Client.from_env(environment) as signalbox:
            return signalbox.cancel("t1", reason="account closed").command_id

    async with a_replying_host(redis, "a", says("a", "cancelled")) as seen:
        command_id = await asyncio.to_thread(blocking)
        async with AsyncClient.from_env(environment) as signalbox:
            joined = await signalbox.cancel("t1")

    assert joined.command_id == command_id
    assert [command.issued_by for command in seen] == ["service:billing"]


async def test_a_service_is_told_what_went_wrong_as_an_error(redis: Redis, valkey: server.Redis) -> None:
    async with AsyncClient(valkey.url, KEY) as signalbox:
        with pytest.raises(NotProven, match="is one running"):
            await signalbox.cancel("t1", wait=0.1)
        async with a_replying_host(redis, "a", says("a", "unknown")):
            with pytest.raises(UnknownTask, match="t2"):
                await signalbox.cancel("t2")
