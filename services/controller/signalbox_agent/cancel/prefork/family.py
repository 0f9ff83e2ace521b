"""What descends from a pool child: found, remembered when its parent dies, watched, and ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from signalbox_agent import proc
from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import Who

#: How many are watched by a descriptor of their own; more are looked at by the clock.
WATCHED = 256


class Family:
    """The descendants of one process, past and present."""

    def __init__(self, root: Who, loop: Loop, changed: Callable[[], None]) -> None:
        """`changed` is called when one of them ended."""
        self._root = root
        self._loop = loop
        self._changed = changed
        self._members: dict[Who, int | None] = {}

    def refresh(self, *, with_root: bool) -> None:
        """Look for new ones, below those that are known to live, and below the root while it lives."""
        roots = [who.pid for who in self.alive()]
        if with_root:
            roots.append(self._root.pid)
        for who in proc.descendants(roots) if roots else ():
            if who not in self._members and who != self._root:
                self._members[who] = self._watch(who)

    def _watch(self, who: Who) -> int | None:
        handle = proc.open_pidfd(who.pid) if len(self._members) < WATCHED else None
        if handle is None:
            return None
        if not proc.present(who):  # the pid may be somebody else's by now
            os.close(handle)
            return None
        self._loop.add_reader(handle, lambda: self._ended(who))
        return handle

    def _ended(self, who: Who) -> None:
        self._unwatch(who)
        self._changed()

    def _unwatch(self, who: Who) -> None:
        handle = self._members.get(who)
        if handle is not None:
            self._members[who] = None
            self._loop.remove_reader(handle)
            os.close(handle)

    def alive(self) -> list[Who]:
        """Those that can still do something."""
        return [who for who in self._members if not proc.ended(who)]

    def ended(self) -> list[Who]:
        """Those that were seen alive and cannot do anything any more."""
        return [who for who in self._members if proc.ended(who)]

    def unreaped(self) -> list[Who]:
        """Those that still are in the process table."""
        return [who for who in self._members if proc.present(who)]

    @property
    def unwatched(self) -> bool:
        """Whether the end of some will not be told by a descriptor."""
        return any(handle is None and not proc.ended(who) for who, handle in self._members.items())

    def signal(self, who: Who, number: int) -> None:
        """Send it a signal; nothing happens when it is gone."""
        handle = self._members.get(who)
        try:
            if handle is not None:
                signal.pidfd_send_signal(handle, number)
            elif proc.present(who):
                os.kill(who.pid, number)
        except OSError:  # it went meanwhile; whoever may not be signalled is seen to live on
            return

    def close(self) -> None:
        """Let go of all descriptors."""
        for who in list(self._members):
            self._unwatch(who)
