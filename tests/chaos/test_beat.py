"""A schedule every second while the host that runs beat is killed, paused and cut off: nothing is sent twice.

`SIGNALBOX_CHAOS_SECONDS=60 make chaos` goes on for so long, in random order; by default each blow falls once.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.beat_hosts import LEASE, BeatHosts, Candidate, beat_hosts
from support.eventually import eventually
from support.host import lives
from support.stores.server import Redis

SECONDS = float(os.environ.get("SIGNALBOX_CHAOS_SECONDS", "0"))

Blow = Callable[[BeatHosts, Candidate, int], Awaitable[None]]


async def kill(fleet: BeatHosts, _: Candidate, beat: int) -> None:
    """Beat dies, and its controller starts another."""
    os.kill(beat, signal.SIGKILL)
    await fleet.ticks.next(but=[beat])


async def pause_beat(fleet: BeatHosts, _: Candidate, beat: int) -> None:
    """Beat stands still, and its controller notices."""
    os.kill(beat, signal.SIGSTOP)
    await fleet.ticks.next(but=[beat])
    with contextlib.suppress(ProcessLookupError):
        os.kill(beat, signal.SIGCONT)


async def pause_controller(fleet: BeatHosts, holder: Candidate, beat: int) -> None:
    """Beat lives, and nobody keeps its lease; then its controller comes back, and both must understand."""
    assert holder.host.process is not None
    os.kill(holder.host.process.pid, signal.SIGSTOP)
    await fleet.ticks.next(but=[beat])
    os.kill(holder.host.process.pid, signal.SIGCONT)
    await _ended(beat)


async def pause_host(fleet: BeatHosts, holder: Candidate, beat: int) -> None:
    """Both stand still, as in a machine that is suspended."""
    assert holder.host.process is not None
    for pid in (beat, holder.host.process.pid):
        os.kill(pid, signal.SIGSTOP)
    await fleet.ticks.next(but=[beat])
    for pid in (beat, holder.host.process.pid):
        os.kill(pid, signal.SIGCONT)
    await _ended(beat)


async def partition(fleet: BeatHosts, holder: Candidate, beat: int) -> None:
    """The host reaches neither Redis nor the broker; what it sent arrives when the line is mended."""
    holder.proxy.cut()
    await fleet.ticks.next(but=[beat])
    assert lives(beat)
    holder.proxy.mend()
    await _ended(beat)


async def _ended(beat: int) -> None:
    async def look() -> bool:
        return not lives(beat)

    await eventually(look, "the end of the beat that lost its lease")


BLOWS: list[Blow] = [kill, pause_beat, pause_controller, pause_host, partition]


@pytest.mark.timeout(120 + 2 * SECONDS)
async def test_nothing_is_sent_twice_whatever_befalls_the_host_that_runs_beat(tmp_path: Path, valkey: Redis) -> None:
    async with beat_hosts(tmp_path, valkey) as fleet:
        end = time.monotonic() + SECONDS
        blows = list(BLOWS)
        while blows or time.monotonic() < end:
            blow = blows.pop() if blows else random.choice(BLOWS)  # noqa: S311 - no secret
            holder = await fleet.holder()
            [beat] = holder.host.workers()
            await blow(fleet, holder, beat)
            for _ in range(2):
                await fleet.ticks.next()
        assert not fleet.ticks.twice()
        print(f"the longest silence: {fleet.ticks.longest_silence():.1f} s, of {LEASE:g} s at most")  # noqa: T201
