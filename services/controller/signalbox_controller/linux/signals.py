"""Signals to processes, and the wait for their end.

Signals go through pidfds (pidfd_open(2)) after the start time was compared, so that a pid which was given
to somebody else meanwhile is never hit.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Sequence

from signalbox_agent.cgroup import Cgroup
from signalbox_agent.proc import Proc, ended, present
from signalbox_controller.linux.reaper import Reaper

#: Seconds within which whatever was sent KILL has to be gone; longer only in uninterruptible sleep.
KILL_DEADLINE = 3.0
#: Seconds that a zombie is waited for which is not ours to reap: it does no harm, but its pid still shows.
UNREAPED = 0.1
#: Seconds between polls for what was forked meanwhile, or reaped by its own parent.
POLL = 0.002
POLL_MOST = 0.05


def send(proc: Proc, number: signal.Signals) -> bool:
    """Signal exactly this process; return whether it was there."""
    try:
        handle = os.pidfd_open(proc.pid)
    except OSError:
        return False
    try:
        if ended(proc):
            return False
        signal.pidfd_send_signal(handle, number)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


async def gone(procs: Iterable[Proc], deadline: float, reaper: Reaper) -> list[Proc]:
    """Wait until all of them have left the process table; return those that have not ended by then.

    A zombie that its parent does not reap is waited for, too: while it is there, its pid can be looked up.

    Args:
        procs: what to wait for.
        deadline: on the loop's clock.
        reaper: reaps those of them that are our children.
    """
    left, pause = list(procs), POLL
    loop = asyncio.get_running_loop()
    while True:
        reaper.reap()
        left = [proc for proc in left if present(proc)]
        if not left or loop.time() >= deadline:
            return [proc for proc in left if not ended(proc)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, deadline - loop.time())):
                await (asyncio.sleep(pause) if ended(left[0]) else death(left[0].pid))
        pause = min(pause * 2, POLL_MOST)


async def death(pid: int) -> None:
    """Return when the process has died, child or not, without reaping it; at once when there is none."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    loop, died = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, died.set)
    try:
        await died.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def terminate_all(find: Callable[[], Iterable[Proc]], reaper: Reaper, until: float) -> None:
    """TERM, once, to all that `find` finds, and wait for them to go; on the loop's clock, at most until `until`."""
    loop = asyncio.get_running_loop()
    asked: set[Proc] = set()
    while (found := list(find())) and loop.time() < until:
        for proc in found:
            if proc not in asked:
                asked.add(proc)
                send(proc, signal.SIGTERM)
        await gone(found, min(until, loop.time() + POLL_MOST), reaper)


async def kill_all(
    find: Callable[[], Iterable[Proc]],
    reaper: Reaper,
    seconds: float = KILL_DEADLINE,
    cgroups: Sequence[Cgroup] = (),
) -> list[Proc]:
    """KILL all that `find` finds, and what was forked meanwhile, until nothing is left; return what outlived it.

    All that is in these cgroups is killed, too, and it is over only when the kernel says that nothing is left there.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    seen: set[Proc] = set()
    while (found := list(find())) or any(cgroup.populated for cgroup in cgroups):
        seen.update(found)
        _kill(found, cgroups)
        if loop.time() >= deadline:
            return found or [proc for cgroup in cgroups for proc in cgroup.procs()]
        await gone(found, min(deadline, loop.time() + POLL_MOST), reaper)
        await asyncio.sleep(0 if found else POLL)
    return await gone(seen, loop.time() + UNREAPED, reaper)


def _kill(procs: Iterable[Proc], cgroups: Sequence[Cgroup]) -> None:
    for cgroup in cgroups:
        with contextlib.suppress(OSError):  # then one by one
            cgroup.kill()
    for proc in procs:
        send(proc, signal.SIGKILL)
