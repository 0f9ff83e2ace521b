"""The pools of gevent and eventlet, as far as the agent touches them: tasks are greenlets of one process.

Greenlets take turns, and only where they wait for something. So nothing comes between a look at one and a throw into
it, when both are done by the hub, which runs when none of them does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

from greenlet import GreenletExit, getcurrent

from signalbox_agent.cancel.greenlets.kill import GreenletKill
from signalbox_agent.cancel.kill import KillObserver
from signalbox_agent.cancel.pool import Abilities, Context, PoolControl, name_of
from signalbox_agent.celery_compat.worker import greenlet_of
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks.runs import Run

Callback = Callable[[], None]

ABILITIES = Abilities(takes_turns=True)

#: Seconds between looks at a greenlet that is about to end.
ENDING = 0.005
#: Seconds that a drained worker waits for pending reports.
DRAIN = 2.0


class GreenletPool(PoolControl):
    """Finds and kills the greenlets of a worker's pool, but only in the task's own code: never in Celery's.

    Celery stores results and acknowledges messages in the same greenlet; a throw there could leave a connection in
    the midst of a message, or a task that had completed without its result.
    """

    can_kill = True

    def __init__(self, pool: Any, loop: Loop, in_hub: Callable[[Callback], Any]) -> None:
        """`pool` is Celery's TaskPool; `in_hub` has the hub call back, soon."""
        self._pool = pool
        self._loop = loop
        self._in_hub = in_hub
        self._inside: set[Any] = set()
        #: The number of reports of ended greenlets, and of pieces of background work, that are not done yet.
        self._pending = 0
        self._drain_pending()

    def _drain_pending(self) -> None:
        """Have Celery, which ends a draining worker as soon as its last greenlet has, wait for the pending reports."""
        drain = self._pool.on_stop

        def on_stop() -> None:
            drain()
            end = monotonic() + DRAIN
            while self._pending and monotonic() < end:
                sleep(ENDING)

        self._pool.on_stop = on_stop

    def prepare(self, task: Any) -> None:
        """Have the `run` of a task note when a greenlet is inside."""
        body = task.run

        @functools.wraps(body)
        def inside(*args: Any, **kwargs: Any) -> Any:
            me = getcurrent()
            if me in self._inside:  # a task that calls another one in place
                return body(*args, **kwargs)
            self._inside.add(me)
            try:
                return body(*args, **kwargs)
            finally:
                self._inside.discard(me)

        task.run = inside

    def kill(self, run: Run, grace: float, observer: KillObserver) -> GreenletKill | None:
        """A kill of the greenlet that runs it, if it is still there."""
        greenlet = self._of(run)
        return None if greenlet is None else GreenletKill(run, greenlet, grace, self, self._loop, observer)

    def in_background(self, work: Callback) -> None:
        """Do work in a greenlet of its own."""
        self._pool.spawn_n(self._counted(work))

    def _counted(self, work: Callback) -> Callback:
        """Work that counts as pending until it is done."""
        self._pending += 1

        def counted() -> None:
            try:
                work()
            finally:
                self._pending -= 1

        return counted

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
        """Call back once the greenlet is dead."""
        report = self._counted(callback)

        def look() -> None:
            if greenlet.dead:
                report()
            else:
                self._loop.call_later(ENDING, look)

        def ended(*_: Any) -> None:
            with self._loop.lock:
                self._loop.call_later(0.0, look)  # eventlet calls this while the greenlet still runs

        greenlet.link(ended)


def control(pool: Any, context: Context) -> GreenletPool | None:
    """The control of a pool; None where its library does not also drive the agent, as it was installed too late."""
    if name_of(pool) == "gevent":
        from gevent import get_hub, monkey

        ours, in_hub = monkey.is_module_patched("threading"), get_hub().loop.run_callback
    else:
        from eventlet import hubs, patcher

        ours = patcher.is_monkey_patched("thread")
        in_hub = functools.partial(hubs.get_hub().schedule_call_global, 0)
    return GreenletPool(pool, context.loop, in_hub) if ours else None
