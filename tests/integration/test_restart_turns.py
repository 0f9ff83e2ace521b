"""Restarts that wait for their turn, and turns whose holder is taken away: nothing is started behind anybody's back."""

import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest

from signalbox.bus import names
from signalbox.messages.events import ProcessChanged
from support.eventually import HANGS, eventually
from support.host import ALICE, SHOP, Host, a_host, lives
from support.stores.server import Redis

SECOND = """
[[apps.shop.workers]]
name = "second"
concurrency = 1
"""


async def commands_are(host: Host, count: int) -> None:
    """Wait until so many commands were given."""

    async def look() -> bool:
        return bool(await host.redis.xlen(names.COMMANDS) >= count)

    await eventually(look, f"{count} commands")


async def test_what_is_stopped_while_its_restart_waits_for_its_turn_stays_stopped(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + SECOND) as host:
        before = (await host.process_is("worker", "running")).pid
        await host.process_is("second", "running")
        await host.redis.set(names.RESTARTING, "another restart", ex=600)
        restart = host.begin(host.commander.restart(ALICE, processes=["second"]))
        await commands_are(host, 1)
        assert (await host.commander.stop(ALICE, processes=["second"])).verdict == "stopped"
        await host.redis.delete(names.RESTARTING)
        result = await restart
        assert result.verdict == "incomplete"
        assert result.detail == "second was stopped meanwhile; not restarted: second"
        told = (await host.of(ProcessChanged, name="second"))[-1]
        assert (told.state, told.desired) == ("stopped", "stopped")
        assert await host.pid("worker") == before


async def test_two_restarts_at_once_follow_each_other(tmp_path: Path, valkey: Redis) -> None:
    async with AsyncExitStack() as stack:
        one, _ = await two_hosts(stack, tmp_path, valkey)
        start = len(await one.events())
        restarts = [one.begin(one.commander.restart(ALICE, mode="immediate")) for _ in range(2)]
        assert [(await restart).verdict for restart in restarts] == ["started", "started"]
        down: set[str] = set()
        times = Counter[str]()
        for change in (await one.events())[start:]:
            if isinstance(change, ProcessChanged):
                up = change.state == "running"
                times[change.host] += up
                down = down - {change.host} if up else down | {change.host}
                assert len(down) <= 1
        assert times == {"web-01": 2, "web-02": 2}


async def two_hosts(stack: AsyncExitStack, folder: Path, redis: Redis) -> tuple[Host, dict[str, Host]]:
    """Two hosts that consume: the one to look with, and both by their names."""
    hosts = {}
    for name in ("web-01", "web-02"):
        hosts[name] = await stack.enter_async_context(a_host(folder / name, redis, SIGNALBOX_HOSTNAME=name))
    for name in hosts:
        await hosts["web-01"].seen(ProcessChanged, host=name, state="running")
    return hosts["web-01"], hosts


async def whose_turn(host: Host) -> str:
    """The host that restarts, as soon as one does."""

    async def look() -> str:
        holder = cast("bytes | None", await host.redis.get(names.RESTARTING)) or b""
        return holder.decode().partition("@")[2]

    return await eventually(look, "a host whose turn it is")


async def worker_of(look: Host, name: str) -> ProcessChanged:
    return (await look.of(ProcessChanged, host=name))[-1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
async def test_the_next_host_has_its_turn_though_the_controller_of_the_first_is_gone(
    tmp_path: Path, valkey: Redis, number: signal.Signals
) -> None:
    async with AsyncExitStack() as stack:
        look, hosts = await two_hosts(stack, tmp_path, valkey)
        before = {name: (await worker_of(look, name)).pid or 0 for name in hosts}
        for _ in range(4):
            await look.running("stubborn.ignore_term", seconds=120.0)
        restart = look.begin(look.commander.restart(ALICE, timeout=3.0))
        first = await whose_turn(look)
        (other,) = set(hosts) - {first}
        controller = hosts[first].process
        assert controller is not None
        controller.send_signal(number)

        async def other_is_back() -> bool:
            told = await worker_of(look, other)
            return told.state == "running" and told.pid != before[other]

        await eventually(other_is_back, "the restart of the other host")
        if number is signal.SIGKILL:
            controller.wait(HANGS)
            hosts[first].start()
        else:
            controller.send_signal(signal.SIGCONT)
        result = await restart
        assert (result.verdict, {report.host for report in result.processes}) == ("started", set(hosts))
        assert not [pid for pid in before.values() if lives(pid)]
        assert [len(host.workers()) for host in hosts.values()] == [1, 1]
