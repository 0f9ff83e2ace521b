"""Beat with the schedulers of others, which keep their entries in a database or in Redis."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from signalbox.bus.connection import connect
from signalbox.messages.events import ProcessChanged
from support.beat_hosts import CONFIGURATION, BeatHosts, beat_hosts
from support.eventually import HANGS, eventually
from support.host import Host, a_host
from support.stores.server import Redis

#: Ticks, each of which finds an entry due.
TICKS = 4
APP = Path(__file__).parents[1] / "support" / "apps" / "schedulers.py"


def with_scheduler(scheduler: str, **environ: str) -> str:
    """The configuration of an application whose beat has this scheduler."""
    lines = "".join(f'{name} = "{value}"\n' for name, value in environ.items())
    text = CONFIGURATION.replace('app = "ticker"', 'app = "schedulers"')
    return f'{text.replace("[apps.ticker.beat]", f"{lines}[apps.ticker.beat]")}options = ["-S", "{scheduler}"]\n'


def add_once(database: Path, name: str) -> None:
    """Have an entry for once in place of all others, as an administrator does whose Django knows nothing of Redis."""
    environ = os.environ | {"BEAT_DATABASE": str(database)}
    subprocess.run([sys.executable, str(APP), name], env=environ, check=True)


async def saved(database: Path) -> bool:
    """Whether the scheduler has saved that the only entry was sent."""
    with contextlib.closing(sqlite3.connect(database, timeout=20.0)) as connection:
        [row] = connection.execute("SELECT enabled, total_run_count FROM django_celery_beat_periodictask")
    return row in {(1, 1), (0, 0)}


async def finds_it_due(log: Path, since: int) -> None:
    """Wait until a beat has ticked several times with the changed schedule, as the rest of its log shows."""

    async def look() -> bool:
        text = await asyncio.to_thread(log.read_bytes)
        _, _, ticks = text[since:].partition(b"Schedule changed")
        return ticks.count(b"beat: Waking up") >= TICKS

    await eventually(look, "ticks of a beat that is cut off")


async def sent(fleet: BeatHosts, task: str) -> int:
    """How often a task was sent, once it was."""

    async def look() -> int:
        return sum(tick.task == task for tick in fleet.ticks.all)

    return await eventually(look, f"a message of {task}")


async def test_an_entry_for_once_that_falls_due_while_the_bus_is_silent_is_sent_once_it_speaks_again(
    tmp_path: Path, valkey: Redis
) -> None:
    database = tmp_path / "beat.sqlite3"
    configuration = with_scheduler("django_celery_beat.schedulers:DatabaseScheduler", BEAT_DATABASE=str(database))
    configuration = configuration.replace("options = [", 'options = ["-l", "debug", ')  # says each tick
    lease = 2 * HANGS  # a beat that has lost it looks at nothing
    async with beat_hosts(tmp_path, valkey, ["web-01"], lease=lease, configuration=configuration) as fleet:
        [candidate] = fleet.candidates
        [beat] = candidate.host.workers()
        log = candidate.host.data / "logs" / "beat.log"
        candidate.proxy.cut()
        since = log.stat().st_size
        await asyncio.to_thread(add_once, database, "once")
        await finds_it_due(log, since)
        candidate.proxy.mend()
        assert await sent(fleet, "schedulers.once") == 1
        await eventually(lambda: saved(database), "a run of the entry in the database")
        os.kill(beat, signal.SIGKILL)  # the next one knows only what is in the database
        assert (await fleet.ticks.next(but=[beat])).task == "schedulers.tick"
        assert await sent(fleet, "schedulers.once") == 1


async def test_the_lock_of_redbeat_that_a_dead_beat_left_behind_is_no_hindrance(tmp_path: Path, valkey: Redis) -> None:
    configuration = with_scheduler("redbeat.RedBeatScheduler")
    async with beat_hosts(tmp_path, valkey, configuration=configuration) as fleet:
        first = await fleet.holder()
        [other] = [one for one in fleet.candidates if one is not first]
        [beat] = first.host.workers()
        os.kill(beat, signal.SIGKILL)
        again = await fleet.ticks.next(but=[beat])
        assert first.host.workers() == [again.pid]
        assert first.host.process is not None
        first.host.process.kill()
        os.kill(again.pid, signal.SIGKILL)
        await fleet.ticks.next(but=[beat, again.pid])
        assert other.host.workers()


async def test_a_beat_that_waits_for_the_lock_of_a_stranger_says_so_and_is_not_ended(
    tmp_path: Path, valkey: Redis
) -> None:
    configuration = with_scheduler("redbeat.RedBeatScheduler") + "lease = 0.0\n"
    broker = connect(valkey.url_of(1))
    try:
        await broker.set("redbeat::lock", "a stranger's", ex=1500)
        async with a_host(tmp_path, valkey, configuration) as host:
            waits = await eventually(lambda: waiting(host), "a beat that waits")
            assert waits.message.startswith("waits for the lock of RedBeat, redbeat::lock, which another beat holds")
            await broker.delete("redbeat::lock")
            assert (await host.process_is("beat", "running")).pid == waits.pid
    finally:
        await broker.aclose()


async def waiting(host: Host) -> ProcessChanged | None:
    """The beat that starts, as soon as it tells what it waits for."""
    found = await host.of(ProcessChanged, name="beat", state="starting")
    return next((event for event in found if event.message.startswith("waits")), None)
