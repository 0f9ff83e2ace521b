"""The control of a prefork pool: kills its processes, notices their deaths, and fills their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from signalbox_agent.cancel.kill import KillObserver
from signalbox_agent.cancel.pool import Abilities, Context
from signalbox_agent.cancel.prefork.children import Children
from signalbox_agent.cancel.prefork.kill import ProcessKill
from signalbox_agent.cancel.prefork.pool import Prefork
from signalbox_agent.celery_compat.prefork import around_fork, refill
from signalbox_agent.link.gc_pause import gc_pause
from signalbox_agent.tasks.runs import Run

ABILITIES = Abilities(answers_while_busy=True)

#: Seconds for which the slot of a dead child can still be read: it may have ended a task that Celery has not reported.
LINGER = 10.0


class PreforkControl(Prefork):
    """A pool of processes, each of which runs one task at a time."""

    can_kill = True

    def __init__(self, pool: Any, context: Context) -> None:
        """`pool` is Celery's TaskPool."""
        super().__init__(pool)
        self._loop = context.loop
        self._slots = context.slots
        self._children = Children(self._loop, self.has, self._died)
        #: Whether a place is empty, and Celery's loop stood still when that was noticed.
        self._vacant = False
        # Each fork is to find little to look through: Celery collects all garbage before it (its issue 2927).
        around_fork(pool, gc_pause())

    def kill(self, run: Run, grace: float, observer: KillObserver) -> ProcessKill | None:
        """A kill of the process that runs it, if it is still there."""
        child = self.child(run.pid)
        return ProcessKill(run, child, grace, self, self._children, self._loop, observer) if child else None

    def watch(self, pid: int) -> bool:
        """Notice when this child dies; false when it is no child of the pool."""
        return self._children.watch(pid)

    def when_dead(self, run: Run, callback: Callable[[], None]) -> None:
        """Call back when its process is dead."""
        self._children.when_dead(run.pid or 0, callback)

    def resume(self, hub: Any) -> None:
        """Fill the places of processes that died while Celery's loop stood still."""
        if self._vacant:
            self._vacant = False
            # Not from here: it takes a while, and no proof has to wait for it; and what Celery cannot bear, such as too
            # many restarts, is for Celery to see.
            hub.call_soon(refill, self._pool)

    def _died(self, pid: int) -> None:
        """Have its place filled now; Celery's own look may be 5 s away."""
        self._loop.call_later(LINGER, lambda: self._forget(pid))
        self._vacant = True
        if self._loop.hub is not None:
            self.resume(self._loop.hub)

    def _forget(self, pid: int) -> None:
        if not self.has(pid):
            self._slots.forget(pid)


def control(pool: Any, context: Context) -> PreforkControl | None:
    """The control of the pool; without Celery's event loop nobody could end one task in it."""
    return PreforkControl(pool, context) if context.has_hub else None
