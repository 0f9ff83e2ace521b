"""The reaper of orphans: what a killed task leaves behind becomes our child, and can be seen, ended and reaped.

prctl(2), PR_SET_CHILD_SUBREAPER: orphans below us are given to us instead of to pid 1.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable

from signalbox_agent.proc import Proc, children, identify

_PR_SET_CHILD_SUBREAPER = 36
#: Seconds between two looks for dead children that no signal told of.
LOOK_EVERY = 1.0


def become_subreaper() -> None:
    """Let the kernel give every orphan below this process to it.

    Raises:
        OSError: the kernel refused (older than 3.4).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot become a child subreaper: {os.strerror(number)}")


class Reaper:
    """Reaps whatever dies below us, except for supervised processes: their supervisor wants the exit code."""

    def __init__(self) -> None:
        self._collectors: dict[int, Callable[[], None]] = {}

    def collect_with(self, pid: int, collect: Callable[[], None]) -> None:
        """Have `collect` reap this child when it has died."""
        self._collectors[pid] = collect

    def forget(self, pid: int) -> None:
        """The supervised process was collected."""
        self._collectors.pop(pid, None)

    def reap(self) -> None:
        """Reap all that is dead; called for every SIGCHLD, and before looking whether somebody is gone."""
        while (dead := _peek()) is not None:
            if (collect := self._collectors.pop(dead, None)) is not None:
                collect()
            else:
                _reap(dead)

    async def run(self) -> None:
        """Reap every second, too: asyncio loses a signal when hundreds of others wait to be handled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.reap()

    def orphans(self) -> list[Proc]:
        """The adopted children: all that is below us and was not launched by us."""
        found = (identify(pid) for pid in children(os.getpid()) if pid not in self._collectors)
        return [proc for proc in found if proc is not None]


def _peek() -> int | None:
    """The pid of a dead child, left as it is."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _reap(pid: int) -> None:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return
