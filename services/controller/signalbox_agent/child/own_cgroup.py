"""The cgroup of a pool child: at any time it holds the child, and what its present task has started.

The child enters it once, when it starts. At the end of a task it looks whether anything but itself is in it (one read
of an open file, 1.4 µs), and only then moves aside what has left the family. A process that is still below the child,
in its session, stays: it serves the child, be it in the next task (a pool of processes, for example).
"""

from __future__ import annotations

import errno
import os

from signalbox_agent.cgroup import LEFT, Cgroup, name_for
from signalbox_agent.proc import identify, stat
from signalbox_agent.safety import guarded, logger

#: Rounds of moving aside what forks meanwhile.
ROUNDS = 5
#: More than the file of a child that is alone in its cgroup holds.
ONE_LINE = 32

NONE: frozenset[int] = frozenset()


class OwnCgroup:
    """The cgroup of this process; without one, all that it does is nothing."""

    def __init__(self, launch: str) -> None:
        """`launch` is the path of the cgroup of the worker; empty when it has none."""
        self._launch = Cgroup(launch)
        self._pid = os.getpid()
        self._alone = b"%d\n" % self._pid
        self._procs: int | None = None
        self._cgroup = self._launch
        self._before = NONE
        if launch:
            self._enter()

    def _enter(self) -> None:
        proc = identify(self._pid)
        if proc is None:
            return
        self._cgroup = self._launch.below(name_for(proc))
        try:
            self._cgroup.make()
            self._cgroup.enter()
            self._procs = os.open(self._cgroup.file("cgroup.procs"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._leave(error)

    def _leave(self, why: Exception) -> None:
        """Do without: a kill of the cgroup must never hit what this process has not started for its present task."""
        logger.warning("Signalbox: pool child %d has no cgroup of its own: %s", self._pid, why)
        if self._procs is not None:
            os.close(self._procs)
            self._procs = None
        try:
            self._launch.enter()
            self._cgroup.remove()
        except OSError:
            return

    @guarded
    def begin(self) -> None:
        """A task begins."""
        self._before = self._settle()

    @guarded
    def end(self) -> int:
        """A task ends; answer how many processes it has left running."""
        return len(self._settle() - self._before)

    def _settle(self) -> frozenset[int]:
        """Move aside what does not serve this process, and answer all that was there beside it."""
        if self._procs is None or os.pread(self._procs, ONE_LINE, 0) == self._alone or os.getpid() != self._pid:
            return NONE
        seen = NONE
        for _ in range(ROUNDS):
            others = frozenset(self._cgroup.pids()) - {self._pid}
            seen |= others
            strangers = [pid for pid in others if not self._serves(pid)]
            if not strangers:
                return seen
            for pid in strangers:
                self._move_aside(pid)
        if self._procs is not None and any(not self._serves(pid) for pid in self._cgroup.pids() if pid != self._pid):
            self._leave(RuntimeError("what a finished task has left forks faster than it can be moved"))
        return seen

    def _move_aside(self, pid: int) -> None:
        left = self._launch.below(LEFT)
        try:
            left.make()
            left.take(pid)
        except OSError as error:
            if error.errno != errno.ESRCH and self._procs is not None:
                self._leave(error)

    def _serves(self, pid: int) -> bool:
        """Whether it descends from this process, in its session."""
        session = os.getsid(0)
        while (seen := stat(pid)) is not None and seen.session == session:
            if seen.parent == self._pid:
                return True
            pid = seen.parent
        return False
