"""A host with a wrong clock, and one that is new: real controllers, with the library that shifts a process' clock."""

import os
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from signalbox.bus.clock import BusClock
from signalbox.bus.publisher import publish_command
from signalbox.messages.commands import StopProcesses
from signalbox.messages.events import HostSeen, ProcessChanged, TaskReceived, TaskStarted, TaskSucceeded
from signalbox.messages.receipts import Answered
from support.eventually import eventually
from support.host import ALICE, KEY, SHOP, Host, a_host
from support.stores.server import Redis

#: Where Debian's package libfaketime has it.
LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
ALIEN = (
    SHOP
    + """
[apps.shop.workers.environment]
LD_PRELOAD = ""
"""
)


@pytest.fixture(params=["+120", "-120"])
async def skewed(request: pytest.FixtureRequest, valkey: Redis, tmp_path: Path) -> AsyncIterator[tuple[Host, float]]:
    """A host whose clock is wrong by so many seconds; that of its worker is right: the library would stop its sleep."""
    library = os.environ.get("FAKETIME_LIBRARY") or next(map(str, LIBRARIES), "")
    if not library:
        assert not os.environ.get("CI"), "Debian's package libfaketime is not installed"
        pytest.skip("needs Debian's package libfaketime")
    shift = {"LD_PRELOAD": library, "FAKETIME": request.param, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    async with a_host(tmp_path / "host", valkey, ALIEN, **shift) as host:
        yield host, float(request.param)


async def test_a_host_with_a_wrong_clock_says_so_obeys_and_its_times_are_right(skewed: tuple[Host, float]) -> None:
    host, shift = skewed
    await host.process_is("worker", "running")
    seen = await host.seen(HostSeen)
    assert seen.clock_ahead == pytest.approx(shift, abs=1.0)
    now = await BusClock(host.redis).now()
    off = [abs((event.at - now).total_seconds()) for event in (seen, *await host.of(ProcessChanged))]
    assert max(off) < abs(shift) / 2
    result = await host.commander.stop(ALICE, mode="immediate")
    assert result.verdict == "stopped"


async def test_the_times_of_a_task_are_right_although_the_clock_of_its_controller_is_not(
    skewed: tuple[Host, float],
) -> None:
    host, shift = skewed
    await host.process_is("worker", "running")
    task = await host.send("reports.count_stock", seconds=0.0)
    ended = await host.seen(TaskSucceeded, task_id=task)
    now = await BusClock(host.redis).now()
    times = [event.at for event in (*await host.of(TaskReceived), *await host.of(TaskStarted), ended)]
    assert ended.started_at is not None
    assert max(abs((at - now).total_seconds()) for at in (*times, ended.started_at)) < abs(shift) / 2


async def test_an_expired_stop_is_refused_also_by_a_host_whose_clock_is_behind(skewed: tuple[Host, float]) -> None:
    host, _ = skewed
    await host.process_is("worker", "running")
    clock = BusClock(host.redis)
    now = await clock.now()  # the host came before that; what had expired even earlier is none of its business
    stop = StopProcesses(
        command_id=str(uuid.uuid4()),
        issued_by="user:alice",
        issued_at=now - timedelta(seconds=60),
        expires_at=now,
    )

    async def has_expired() -> bool:
        return await clock.now() > now + timedelta(seconds=0.5)  # by the host's estimate of that clock, too

    await eventually(has_expired, "the stop has expired")
    await publish_command(host.redis, KEY, stop)
    [answer] = await host.receipts(stop.command_id, 1)
    assert isinstance(answer, Answered)
    assert answer.verdict == "refused"


async def test_a_new_host_does_not_obey_a_stop_that_was_finished_before_it_came_and_obeys_the_next(
    valkey: Redis, tmp_path: Path
) -> None:
    async with a_host(tmp_path / "old", valkey) as old:
        await old.process_is("worker", "running")
        assert (await old.commander.stop(ALICE, mode="immediate")).verdict == "stopped"
        async with a_host(tmp_path / "new", valkey, SIGNALBOX_HOSTNAME="web-02") as new:
            await new.seen(ProcessChanged, host="web-02", state="running")
            assert not await new.of(ProcessChanged, host="web-02", state="stopping")
            result = await new.commander.stop(ALICE, mode="immediate")
            assert (result.verdict, {one.host for one in result.processes}) == ("stopped", {"web-01", "web-02"})


async def test_a_stop_that_no_host_was_there_for_is_obeyed_by_the_one_that_comes_in_time(
    valkey: Redis, tmp_path: Path
) -> None:
    async with a_host(tmp_path / "new", valkey) as new:
        now = await BusClock(new.redis).now()
        stop = StopProcesses(
            command_id=str(uuid.uuid4()),
            issued_by="user:alice",
            issued_at=now,
            expires_at=now + timedelta(seconds=60),
            mode="immediate",
        )
        await publish_command(new.redis, KEY, stop)
        [answer] = await new.receipts(stop.command_id, 1)
    assert isinstance(answer, Answered)
    assert answer.verdict == "stopped"
