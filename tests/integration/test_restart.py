"""A rolling restart: one process after the other, over all hosts, never with fewer workers than are to be left."""

import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from signalbox.messages.events import AnyEvent, ProcessChanged, TaskFailed, TaskSucceeded
from support.host import ALICE, BEAT, SHOP, Host, a_host, exists
from support.stores.server import Redis

SECOND = """
[[apps.shop.workers]]
name = "second"
concurrency = 1
stop_timeout = 10.0
"""


def fewest_running(events: Sequence[AnyEvent]) -> int:
    """How many workers ran at the worst moment."""
    running: set[tuple[str, str]] = set()
    counts = []
    for event in events:
        if isinstance(event, ProcessChanged) and event.kind == "worker":
            key = (event.host, event.name)
            running = running | {key} if event.state == "running" else running - {key}
            counts.append(len(running))
    return min(counts)


async def pids(host: Host, *names: str) -> list[int]:
    return [(await host.process_is(name, "running")).pid or 0 for name in names]


async def from_now_on(host: Host) -> int:
    return len(await host.events())


async def test_one_after_the_other_is_stopped_and_consumes_again_before_the_next(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + SECOND + BEAT) as host:
        names = ("worker", "second", "beat")
        before, start = await pids(host, *names), await from_now_on(host)
        task = await host.running(seconds=1.0)
        result = await host.commander.restart(ALICE)
        assert (result.verdict, result.tasks_killed) == ("started", 0)
        assert {report.state for report in result.processes} == {"running"}
        after = await pids(host, *names)
        assert not set(before) & set(after)
        assert not [pid for pid in before if exists(pid)]
        assert fewest_running(await since(host, start)) == 1
        await host.seen(TaskSucceeded, task_id=task.task_id)
        told = await host.of(ProcessChanged, name="worker")
        assert {one.desired for one in told} == {"running"}
        assert "restarted by alice: maintenance; killed in at most 10 s" in {one.message for one in told}


async def since(host: Host, start: int) -> list[AnyEvent]:
    """What was told from then on, after what was known of each process at that moment."""
    events = await host.events()
    last = {event.name: event for event in events[:start] if isinstance(event, ProcessChanged)}
    return [*last.values(), *events[start:]]


async def test_an_immediate_restart_ends_what_runs_and_says_so(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        (before,) = await pids(host, "worker")
        task = await host.running("stubborn.ignore_term", seconds=120.0)
        result = await host.commander.restart(ALICE, mode="immediate")
        assert (result.verdict, result.tasks_killed) == ("started", 1)
        assert not exists(before)
        assert (await host.seen(TaskFailed, task_id=task.task_id)).outcome == "stopped"


async def test_what_a_person_stopped_stays_stopped_unless_it_is_named(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + SECOND) as host:
        before = await pids(host, "worker", "second")
        await host.commander.stop(ALICE, processes=["second"], mode="immediate")
        result = await host.commander.restart(ALICE)
        assert [report.name for report in result.processes] == ["worker"]
        assert await host.pid("second") == 0
        named = await host.commander.restart(ALICE, processes=["second"])
        assert (named.verdict, [report.name for report in named.processes]) == ("started", ["second"])
        assert not set(before) & set(await pids(host, "worker", "second"))


async def test_a_restart_never_goes_below_the_minimum(tmp_path: Path, valkey: Redis) -> None:
    careful = SHOP.replace('app = "shop"', 'app = "shop"\nminimum_running = 1').replace(
        'name = "worker"', 'name = "worker"\nstart_timeout = 10.0'
    )
    async with a_host(tmp_path / "host", valkey, careful + SECOND) as host:
        (before, _) = await pids(host, "worker", "second")
        await host.commander.stop(ALICE, processes=["second"], mode="immediate")
        result = await host.commander.restart(ALICE)
        assert result.verdict == "incomplete"
        assert result.detail == ("minimum_running of shop is 1, and beside worker only 0 ran; not restarted: worker")
        assert await host.pid("worker") == before


async def test_the_first_that_does_not_come_back_ends_the_restart_on_every_host(tmp_path: Path, valkey: Redis) -> None:
    flag = tmp_path / "broken"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        one = await enter(a_host(tmp_path / "one", valkey, breakable(flag) + SECOND))
        await enter(a_host(tmp_path / "two", valkey, breakable(flag), SIGNALBOX_HOSTNAME="web-02"))
        await one.seen(ProcessChanged, host="web-02", state="running")
        (second,) = await pids(one, "second")
        await one.seen(ProcessChanged, host="web-01", name="worker", state="running")
        flag.touch()
        result = await one.commander.restart(ALICE)
        assert result.verdict == "incomplete"
        states = {(report.host, report.name): report.state for report in result.processes}
        broken = [key for key, state in states.items() if state == "backoff"]
        assert len(broken) == 1
        assert len(states) == 3
        assert broken[0][1] == "worker"
        assert exists(second)


def breakable(flag: Path) -> str:
    """A configuration by which no worker can be launched while the file is there."""
    python = flag.parent / "python"
    python.write_text(f'#!/bin/sh\n[ ! -e "{flag}" ] || exit 1\nexec "{sys.executable}" "$@"\n', encoding="ascii")
    python.chmod(0o755)
    return SHOP.replace('app = "shop"', f'app = "shop"\npython = "{python}"')


async def test_hosts_take_turns(tmp_path: Path, valkey: Redis) -> None:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        one = await enter(a_host(tmp_path / "one", valkey))
        await enter(a_host(tmp_path / "two", valkey, SIGNALBOX_HOSTNAME="web-02"))
        for host in ("web-01", "web-02"):
            await one.seen(ProcessChanged, host=host, state="running")
        start = await from_now_on(one)
        result = await one.commander.restart(ALICE)
        assert result.verdict == "started"
        assert sorted(report.host for report in result.processes) == ["web-01", "web-02"]
        changes = [event for event in (await one.events())[start:] if isinstance(event, ProcessChanged)]
        hosts = [change.host for change in changes]
        assert hosts in (sorted(hosts), sorted(hosts, reverse=True))
