"""Watch of a prefork pool: how many of its processes take work, of how many there should be.

A worker that consumes runs nothing while no process of its pool is up. Celery kills each that is not up within
`worker_proc_alive_timeout` (4 s), save those that it starts with: where an initialization takes longer, a worker works
until it has lost them, and then never again.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded, logger

#: Seconds between two looks.
EVERY = 1.0
#: The limit is raised to so many times what the first process has needed.
MARGIN = 4.0
#: Seconds for which Celery's loop must have turned when the first one comes up: before, its report may have waited.
TURNED = 0.5


class PoolWatch:
    """Reports each change, and again and again while no process is up."""

    def __init__(self, pool: PoolControl, loop: Loop, link: Link, ready: Callable[[], bool]) -> None:
        """`ready` answers whether the worker consumes."""
        self._pool = pool
        self._loop = loop
        self._link = link
        self._ready = ready
        self._latest: dict[str, Any] | None = None
        self._begun = monotonic()
        self._turning = 0.0
        self._measured = False

    def begin(self) -> None:
        """Watch the pool, whose processes were just started."""
        if self.state() is None:
            return
        self._pool.on_up(self._up)
        self._loop.call_later(EVERY, self._look_again)

    def turning(self) -> None:
        """Celery's loop begins to turn."""
        self._turning = self._turning or monotonic()

    def state(self) -> dict[str, Any] | None:
        """The processes that are up and those that are wanted; None where no processes make up the pool."""
        return self._pool.population()

    def report(self) -> None:
        """Send the present state."""
        self._latest = self.state()
        if self._latest is not None:
            self._link.send({"type": "pool", "ready": self._ready(), "children": self._latest})

    @guarded
    def _up(self) -> None:
        with self._loop.lock:
            self._measure()
            self._look()

    def _measure(self) -> None:
        """Let Celery wait for later processes as long as the first one needs, where nobody has set a limit."""
        if self._measured:
            return
        self._measured, now = True, monotonic()
        if self._turning and now - self._turning > TURNED:
            limit = self._pool.wait_for_start((now - self._begun) * MARGIN)
            if limit:
                logger.info(
                    "The pool's processes are slow to start: worker_proc_alive_timeout is %.0f s for their successors",
                    limit,
                )

    def _look_again(self) -> None:
        self._loop.call_later(EVERY, self._look_again)
        self._look()

    def _look(self) -> None:
        state = self.state()
        if state is not None and (state != self._latest or not state["up"]):
            self.report()
