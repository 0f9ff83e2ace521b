"""The pools of gevent and eventlet, as far as the agent touches them: tasks are greenlets of one process.

Greenlets take turns, and only where they wait for something. So nothing comes between a look at one and a throw into
it, when both are done by the hub, which runs when none of them does.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from greenlet import GreenletExit, getcurrent

from signalbox_agent.cancel.greenlets.kill import GreenKill
from signalbox_agent.cancel.pool import KillObserver
from signalbox_agent.celery_compat.greenlets import greenlet_of
from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import descendants
from signalbox_agent.tasks.runs import Run

Callback = Callable[[], None]

#: Seconds between looks at a greenlet that has said that it ends, and has not yet.
ENDING = 0.005
#: Seconds that a drained worker stays for what is still to be told of greenlets that have ended.
LAST_WORDS = 2.0


class Greens:
    """Finds and kills the greenlets of a worker's pool, but only in the task's own code: never in Celery's.

    Celery stores results and acknowledges messages in the same greenlet; a throw there could leave a connection in
    the midst of a message, or a task that had completed without its result.
    """

    def __init__(self, pool: Any, loop: Loop, in_hub: Callable[[Callback], Any]) -> None:
        """`pool` is Celery's TaskPool; `in_hub` has the hub call back, soon."""
        self._pool = pool
        self._loop = loop
        self._in_hub = in_hub
        self._inside: set[Any] = set()
        #: Greenlets whose end is to be told, and work that was put aside: no worker may end before it is done.
        self._owed = 0

    def stay_for_last_words(self) -> None:
        """Have Celery, which ends a draining worker as soon as its last greenlet has, wait until that was told."""
        drain = self._pool.on_stop

        def on_stop() -> None:
            drain()
            end = monotonic() + LAST_WORDS
            while self._owed and monotonic() < end:
                sleep(ENDING)

        self._pool.on_stop = on_stop

    def watched(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """A task's `run`, made to tell when a greenlet is inside."""

        @functools.wraps(run)
        def inside(*args: Any, **kwargs: Any) -> Any:
            me = getcurrent()
            if me in self._inside:  # a task that calls another one in place
                return run(*args, **kwargs)
            self._inside.add(me)
            try:
                return run(*args, **kwargs)
            finally:
                self._inside.discard(me)

        return inside

    def kill(self, run: Run, grace: float, observer: KillObserver) -> GreenKill | None:
        """A kill of the greenlet that runs it, if it is still there."""
        greenlet = self._of(run)
        return None if greenlet is None else GreenKill(run, greenlet, grace, self, self._loop, observer)

    def aside(self, work: Callback) -> None:
        """In a greenlet of its own."""
        self._owed += 1
        self._pool.spawn_n(self._paying(work))

    def _paying(self, work: Callback) -> Callback:
        def pay() -> None:
            try:
                work()
            finally:
                self._owed -= 1

        return pay

    def _of(self, run: Run) -> Any:
        greenlet = greenlet_of(self._pool, run.request.worker_pid)
        return None if greenlet is None or greenlet.dead else greenlet

    def throw(self, greenlet: Any, begun: Callback) -> None:
        """Have it raise GreenletExit where it waits, if that is in the task's own code; `begun` is called before."""

        def now() -> None:
            if greenlet in self._inside:
                begun()
                greenlet.throw(GreenletExit)

        self._in_hub(now)

    def when_dead(self, run: Run, callback: Callback) -> None:
        """Call back once its greenlet is dead."""
        greenlet = self._of(run)
        if greenlet is None:
            callback()
        else:
            self.when_gone(greenlet, callback)

    def when_gone(self, greenlet: Any, callback: Callback) -> None:
        """The same, for a greenlet."""
        self._owed += 1
        tell = self._paying(callback)

        def look() -> None:
            if greenlet.dead:
                tell()
            else:
                self._loop.call_later(ENDING, look)

        def ended(*_: Any) -> None:
            with self._loop.lock:
                self._loop.call_later(0.0, look)  # eventlet says so while the greenlet still runs

        greenlet.link(ended)

    def programs(self) -> list[int]:
        """The pids of all that tasks of this worker have started and that still runs: nobody can tell whose it is."""
        return [proc.pid for proc in descendants([os.getpid()])]


def greens(pool: Any, name: str, loop: Loop) -> Greens | None:
    """The greenlets of a pool; None where its library does not also drive the agent, as it was not told in time."""
    if name == "gevent":
        from gevent import get_hub, monkey

        return Greens(pool, loop, get_hub().loop.run_callback) if monkey.is_module_patched("threading") else None
    from eventlet import hubs, patcher

    if not patcher.is_monkey_patched("thread"):
        return None
    return Greens(pool, loop, functools.partial(hubs.get_hub().schedule_call_global, 0))
