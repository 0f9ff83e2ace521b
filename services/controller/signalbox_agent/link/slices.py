"""Work that would keep Celery's loop to itself for too long, done a few milliseconds at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Generic, TypeVar

from signalbox_agent.link.gc_pause import Spared
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import complain

T = TypeVar("T")

#: Seconds of one slice; what its last piece takes comes on top.
SLICE = 0.005
#: Seconds between two slices: kombu's hub runs up to ten timers that are due before it looks at anything else.
PAUSE = 0.002


class Slices(Generic[T]):
    """Pieces of work of one kind, done in their order; between two slices Celery has its turn."""

    def __init__(self, loop: Loop, work: Callable[[T], None]) -> None:
        """`work` does one piece, under the lock of the loop."""
        self._loop = loop
        self._work = work
        self._left: deque[T] = deque()
        self._due = False
        self._spared = Spared()

    def put(self, pieces: Iterable[T]) -> None:
        """Do these, after those that came before."""
        self._left.extend(pieces)
        if self._left and not self._due:
            self._due = True
            self._spared.begin()
            self._loop.call_later(PAUSE, self._turn)

    def _turn(self) -> None:
        end = monotonic() + SLICE
        while self._left and monotonic() < end:
            piece = self._left.popleft()
            try:
                self._work(piece)
            except Exception:  # noqa: BLE001 - see safety
                complain(self._work.__qualname__)  # one place: which piece it was is in the error
        self._due = bool(self._left)
        if self._due:
            self._loop.call_later(PAUSE, self._turn)
        else:
            self._spared.end()
