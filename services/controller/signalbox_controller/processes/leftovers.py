"""Leftovers of a process: what outlived its KILL, which is killed again and waited for until it has ended."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Iterable

from signalbox_agent.proc import Proc, ended
from signalbox_controller.linux.signals import death, send

#: Seconds between two looks at what the kernel holds: its end is reported at once, except where its first thread ended.
LOOK, LOOK_MOST = 0.5, 30.0


class Leftovers:
    """What is left of all launches of one process."""

    def __init__(self) -> None:
        self._procs: dict[Proc, None] = {}

    def add(self, procs: Iterable[Proc]) -> None:
        """Add what has just outlived KILL."""
        self._procs.update(dict.fromkeys(procs))

    @property
    def alive(self) -> list[Proc]:
        """Those that have not ended."""
        self._procs = {proc: None for proc in self._procs if not ended(proc)}
        return list(self._procs)

    @property
    def words(self) -> str:
        """Those that have not ended, for people."""
        return outlived(self.alive)

    async def end(self) -> None:
        """Return when all have ended; the kernel may hold them for as long as it likes."""
        pause = LOOK
        while alive := self.alive:
            for proc in alive:
                send(proc, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter
                    await death(alive[0].pid)
                    await asyncio.sleep(LOOK if not ended(alive[0]) else 0)
            pause = min(pause * 2, LOOK_MOST)


def outlived(procs: Iterable[Proc]) -> str:
    """What outlived KILL, for people."""
    pids = ", ".join(str(proc.pid) for proc in procs)
    return f"outlived KILL: pid {pids}; the kernel holds it, look for state D in ps"
