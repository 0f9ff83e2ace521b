"""The controller is killed at random moments: no process runs twice, none is lost, and what people wanted stays so.

Four times by default, once in each phase of a process's life; `SIGNALBOX_KILLS=20 make chaos` is the long version.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from signalbox.messages.base import utc_now
from signalbox.messages.events import HostSeen, ProcessChanged, TaskFailed, TaskStarted, TaskSucceeded
from support.eventually import eventually
from support.host import ALICE, ROOT, SHOP, Host, a_host
from support.stores.server import Redis

KILLS = int(os.environ.get("SIGNALBOX_KILLS", "4"))
SECOND = """
[[apps.shop.workers]]
name = "second"
concurrency = 2
stop_timeout = 10.0
"""
NAMES = {"worker", "second"}
#: Each says when it is launched while another of its name still is.
ONCE = f'ONCE = "${{{{ONCE}}}}"\nPYTHONPATH = "{ROOT / "tests/support/apps/once"}"\n'
WORKERS = SHOP.replace("[[apps", ONCE + "[[apps", 1) + SECOND


class Killer:
    """Brings the host into a phase, kills its controller in the middle, starts the next one, and looks."""

    def __init__(self, host: Host, dice: random.Random) -> None:
        self.host = host
        self._dice = dice

    async def all_are(self, state: str) -> None:
        """Wait until both processes are told to be so, and look whether it is true."""
        for name in NAMES:
            await self.host.process_is(name, state)
        expected = Counter(NAMES) if state == "running" else Counter()

        async def look() -> bool:
            found = launched(self.host)
            assert found == expected, found
            return True

        await eventually(look, f"what really runs, when all is told to be {state}")

    async def kill_within(self, seconds: float) -> None:
        """Kill the controller at a random moment of this span, and start the next one."""
        await asyncio.sleep(self._dice.uniform(0.0, seconds))
        await self.host.end_hard()
        killed_at = utc_now()
        self.host.start()

        async def look() -> bool:
            return any(seen.at > killed_at for seen in await self.host.of(HostSeen))

        await eventually(look, "the next controller")

    async def during(self, doing: Awaitable[object], seconds: float) -> None:
        """The same, while a command is being carried out; nobody waits for its answer."""
        command = asyncio.ensure_future(doing)
        await self.kill_within(seconds)
        command.cancel()
        with suppress(asyncio.CancelledError):
            await command

    async def busy(self) -> list[TaskStarted]:
        """Tasks that run: two that end soon, and one that ignores TERM."""
        short = [await self.host.send("reports.count_stock", seconds=self._dice.uniform(1.0, 3.0)) for _ in range(2)]
        started = [await self.host.seen(TaskStarted, task_id=task_id) for task_id in short]
        return [*started, await self.host.running("stubborn.ignore_term", seconds=60.0)]

    async def told(self, tasks: list[TaskStarted], *, stopped: bool) -> None:
        """Each task's end is told, and where it was stopped, who did it."""
        for task in tasks:

            async def end(task: TaskStarted = task) -> bool:
                done = await self.host.of(TaskSucceeded, task_id=task.task_id)
                failed = await self.host.of(TaskFailed, task_id=task.task_id)
                assert done or failed, f"nothing is told of {task}"
                if not done or (failed and failed[0].at < done[0].at):  # of two ends the first one counts
                    assert stopped, failed
                    assert {event.error for event in failed} == {"Celery was stopped by alice: maintenance"}
                return True

            await eventually(end, f"the end of {task.task_id}")


async def start(killer: Killer) -> None:
    await killer.host.commander.stop(ALICE, mode="immediate")
    await killer.during(killer.host.commander.start(ALICE), 2.0)
    await killer.all_are("running")


async def running(killer: Killer) -> None:
    tasks = await killer.busy()
    before = {name: await killer.host.pid(name) for name in NAMES}
    await killer.kill_within(1.0)
    await killer.all_are("running")
    assert {name: await killer.host.pid(name) for name in NAMES} == before
    await killer.told(tasks[:2], stopped=False)
    assert (await killer.host.commander.cancel(tasks[2].task_id, ALICE)).verdict == "cancelled"


async def drain(killer: Killer) -> None:
    tasks = await killer.busy()
    await killer.during(killer.host.commander.stop(ALICE, timeout=4.0), 4.5)
    await killer.all_are("stopped")
    await killer.told(tasks, stopped=True)
    await killer.host.commander.start(ALICE)
    await killer.all_are("running")


async def stop(killer: Killer) -> None:
    tasks = await killer.busy()
    await killer.during(killer.host.commander.stop(ALICE, mode="immediate"), 0.3)
    await killer.all_are("stopped")
    await killer.told(tasks, stopped=True)
    await killer.host.commander.start(ALICE)
    await killer.all_are("running")


PHASES: list[Callable[[Killer], Awaitable[None]]] = [start, running, drain, stop]


def launched(host: Host) -> Counter[str]:
    """The names of the workers that really run, each as often as it does.

    Each launch leads a session of its own; a pool child does not, not even in the moment when its parent is dead.
    """
    names = []
    for pid in host.workers():
        with suppress(ProcessLookupError, psutil.NoSuchProcess, ValueError):
            if os.getsid(pid) != pid:
                continue
            line = psutil.Process(pid).cmdline()
            names.append(line[line.index("-n") + 1].partition("@")[0])
    return Counter(names)


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_a_killed_controller_is_followed_by_one_that_knows_it_all(tmp_path: Path, valkey: Redis) -> None:
    seed = int(os.environ.get("SIGNALBOX_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")  # noqa: T201 - to see it again
    once = tmp_path / "once"
    once.mkdir()
    async with a_host(tmp_path / "host", valkey, WORKERS, ONCE=str(once)) as host:
        killer = Killer(host, random.Random(seed))  # noqa: S311 - chance, no secret
        await killer.all_are("running")
        for number in range(KILLS):
            phase = PHASES[number % len(PHASES)]
            print(f"kill {number + 1}: {phase.__name__}")  # noqa: T201
            await phase(killer)
        assert {path.name.partition("@")[0] for path in once.iterdir()} == NAMES, "launched twice at a time"
        assert {told.desired for told in (await host.of(ProcessChanged))[-2:]} == {"running"}
