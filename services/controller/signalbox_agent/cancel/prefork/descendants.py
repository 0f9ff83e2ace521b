"""The descendants of a pool child: found, remembered when their parent dies, watched, and ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable

from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import Proc, descendants, ended, open_pidfd, present

#: Descendants that are watched by a descriptor of their own; more are looked at by the clock.
WATCHED = 256
#: Rounds of looking for what was started while the rest was being stopped.
ROUNDS = 5


class Descendants:
    """All processes that descend, or did descend, from one."""

    def __init__(self, root: Proc, loop: Loop, changed: Callable[[], None]) -> None:
        """`changed` is called when one of them ended."""
        self._root = root
        self._loop = loop
        self._changed = changed
        self._members: dict[Proc, int | None] = {}
        #: The name of the cgroup that holds them; empty where they have to be searched for.
        self.cgroup = ""

    def refresh(self, *, with_root: bool) -> None:
        """Look for new ones, below those that are known to live, and below the root while it lives."""
        for proc in self._find(with_root=with_root):
            if proc not in self._members and proc != self._root:
                self._members[proc] = self._watch(proc)

    def _find(self, *, with_root: bool) -> Iterable[Proc]:
        roots = [proc.pid for proc in self.alive()]
        if with_root:
            roots.append(self._root.pid)
        return descendants(roots) if roots else ()

    def _watch(self, proc: Proc) -> int | None:
        handle = open_pidfd(proc.pid) if len(self._members) < WATCHED else None
        if handle is None:
            return None
        if not present(proc):  # the pid may be somebody else's by now
            os.close(handle)
            return None
        self._loop.add_reader(handle, lambda: self._ended(proc))
        return handle

    def _ended(self, proc: Proc) -> None:
        self._unwatch(proc)
        self._changed()

    def _unwatch(self, proc: Proc) -> None:
        handle = self._members.get(proc)
        if handle is not None:
            self._members[proc] = None
            self._loop.remove_reader(handle)
            os.close(handle)

    def alive(self) -> list[Proc]:
        """The descendants that have not ended."""
        return [proc for proc in self._members if not ended(proc)]

    def left(self, *, root_gone: bool) -> int:  # noqa: ARG002 - a cgroup holds the root, too
        """The number of those that have not ended."""
        return len(self.alive())

    def ended(self) -> list[Proc]:
        """The descendants that have ended."""
        return [proc for proc in self._members if ended(proc)]

    def unreaped(self) -> list[Proc]:
        """The descendants that still are in the process table."""
        return [proc for proc in self._members if present(proc)]

    @property
    def unwatched(self) -> bool:
        """Whether some have no descriptor that would show their end."""
        return any(handle is None and not ended(proc) for proc, handle in self._members.items())

    def signal(self, proc: Proc, number: int) -> None:
        """Send it a signal; nothing happens when it is gone."""
        handle = self._members.get(proc)
        try:
            if handle is not None:
                signal.pidfd_send_signal(handle, number)
            elif present(proc):
                os.kill(proc.pid, number)
        except OSError:  # it ended meanwhile; one that may not be signalled is seen to live on
            return

    def hold(self, *, with_root: bool) -> None:
        """Stop them all, so that none can start another one unseen."""
        stopped: set[Proc] = set()
        for _ in range(ROUNDS):
            self.refresh(with_root=with_root)
            fresh = set(self.alive()) - stopped
            if not fresh:
                return
            for proc in fresh:
                self.signal(proc, signal.SIGSTOP)
            stopped |= fresh

    def kill(self) -> None:
        """Send KILL to all of them."""
        for proc in self.alive():
            self.signal(proc, signal.SIGKILL)

    def close(self) -> None:
        """Close all descriptors."""
        for proc in list(self._members):
            self._unwatch(proc)
