"""Keeping the garbage collector from looking through all that waits in a worker, at a moment when that would hurt.

A full collection takes 0.05 s where four thousand tasks wait, 0.2 s where ten thousand do; Celery's loop stands still.
"""

from __future__ import annotations

import gc


class Spared:
    """What is there when it begins is not looked through until it ends; what comes meanwhile is collected as ever."""

    #: How many are under way: to ask the collector whether anything is spared takes as long as to look through it.
    _under_way = 0

    def __init__(self) -> None:
        self._ours = False

    def begin(self) -> None:
        """Spare what is there, unless the application has done so itself."""
        if not Spared._under_way and gc.get_freeze_count():
            return
        gc.freeze()  # also where another one is under way: much may have come since
        Spared._under_way += 1
        self._ours = True

    def end(self) -> None:
        """Spare it no longer."""
        if self._ours:
            self._ours = False
            Spared._under_way -= 1
            if not Spared._under_way:
                gc.unfreeze()
