"""The pool's children, watched: each death is noticed when it happens, not at Celery's next look (5 s)."""

from __future__ import annotations

import os
from collections.abc import Callable

from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import ended, identify, open_pidfd

#: Seconds between looks where there are no descriptors for processes (before Linux 5.3).
INTERVAL = 0.005

Callback = Callable[[], None]


class Children:
    """A descriptor for each child that has accepted a task, and the callbacks for its death."""

    def __init__(self, loop: Loop, is_child: Callable[[int], bool], died: Callable[[int], None]) -> None:
        """`died(pid)` is called after the callbacks for that child."""
        self._loop = loop
        self._is_child = is_child
        self._died = died
        self._watched: dict[int, int] = {}
        self._asked: dict[int, list[Callback]] = {}

    def watch(self, pid: int) -> bool:
        """Notice when this child dies; false when it is no child of the pool."""
        if pid in self._watched:
            return True
        if not self._is_child(pid):
            return False
        handle = open_pidfd(pid)
        if handle is not None:
            self._watched[pid] = handle
            self._loop.add_reader(handle, lambda: self._dead(pid))
        return True

    def when_dead(self, pid: int, callback: Callback) -> None:
        """Call back once this child is dead; not yet reaped, perhaps."""
        self._asked.setdefault(pid, []).append(callback)
        if pid not in self._watched:
            self._look(pid)

    def forget(self, pid: int, callback: Callback) -> None:
        """Do not call back."""
        asked = self._asked.get(pid, [])
        if callback in asked:
            asked.remove(callback)

    def _look(self, pid: int) -> None:
        proc = identify(pid)
        if proc is None or ended(proc):
            self._dead(pid)
        elif self._asked.get(pid):
            self._loop.call_later(INTERVAL, lambda: self._look(pid))

    def _dead(self, pid: int) -> None:
        handle = self._watched.pop(pid, None)
        if handle is not None:
            self._loop.remove_reader(handle)
            os.close(handle)
        for callback in self._asked.pop(pid, []):
            callback()
        self._died(pid)
