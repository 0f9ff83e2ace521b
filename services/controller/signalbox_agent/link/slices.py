"""Slices of work that would keep Celery's loop to itself for too long: a few milliseconds at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from time import monotonic

from signalbox_agent.link.gc_pause import gc_pause
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import complain

#: Seconds of one slice; what its last piece takes comes on top.
SLICE = 0.005
#: Seconds between two slices: kombu's hub runs up to ten timers that are due before it looks at anything else.
PAUSE = 0.002


class Slices:
    """Pieces of work, done in their order under the lock of the loop; between two slices Celery has its turn."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._left: deque[Callable[[], object]] = deque()
        self._due = False
        self._batch = ExitStack()

    def put(self, pieces: Iterable[Callable[[], object]]) -> None:
        """Do these, after those that came before."""
        self._left.extend(pieces)
        if self._left and not self._due:
            self._due = True
            self._batch.enter_context(gc_pause())
            self._loop.call_later(PAUSE, self._turn)

    def _turn(self) -> None:
        end = monotonic() + SLICE
        while self._left and monotonic() < end:
            piece = self._left.popleft()
            try:
                piece()
            except Exception:  # noqa: BLE001 - see safety
                complain("a slice of work")  # one place: which piece it was is in the error
        self._due = bool(self._left)
        if self._due:
            self._loop.call_later(PAUSE, self._turn)
        else:
            self._batch.close()
