"""Slot passing in a pool, by a loop, where Celery does it by recursion.

A slot that becomes free goes to the first task that waits for one; where that is refused, Celery frees the slot again
from within (`WorkController._process_task`). Some 150 refused tasks in a row, and the worker dies of a RecursionError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from signalbox_agent.celery_compat.worker import replace_release
from signalbox_agent.link.loop import Loop

#: Slots that are passed on in one go, which takes a millisecond or two; the rest in the next turn of Celery's loop.
BURST = 50


class SlotPassing:
    """Stands before the `release` of the pool's semaphore."""

    def __init__(self, release: Callable[[], None], soon: Callable[[Callable[[], None]], Any]) -> None:
        """`soon` calls back in the next turn of the loop."""
        self._release = release
        self._soon = soon
        self._freed = 0
        self._passing = False

    def release(self) -> None:
        """Free one; called from within, it is freed when the call that is under way is over."""
        self._freed += 1
        if not self._passing:
            self._pass_on()

    def resume(self) -> None:
        """Go on with what was freed: a loop that breaks off drops what it had for its next turn."""
        if self._freed:
            self._soon(self._pass_on)

    def _pass_on(self) -> None:
        self._passing = True
        try:
            for _ in range(BURST):
                if not self._freed:
                    return
                self._freed -= 1
                self._release()
        finally:
            self._passing = False
            self.resume()


def pass_on_slots(worker: Any, loop: Loop) -> SlotPassing:
    """Have this worker, whose pool was made, do so."""
    passing = SlotPassing(worker.semaphore.release, partial(loop.call_soon, worker.hub))
    replace_release(worker, passing.release)
    return passing
