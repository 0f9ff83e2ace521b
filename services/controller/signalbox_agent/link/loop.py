"""Event loop of the agent: on Celery's event loop while that turns, else in a thread of its own.

Celery's loop stands still while a broker is away, during a warm shutdown, and always in pools that have
none. The agent must answer then too; so its descriptors and timers move to a small thread, and back.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from signalbox_agent.safety import complain

Callback = Callable[[], None]

#: Seconds that a turn of the thread lasts at most.
IDLE = 1.0
#: Seconds that the thread may take to hand over to Celery's loop.
HANDOVER = 2.0


@dataclass(slots=True, eq=False)
class Timer:
    """Something to be done later, once."""

    callback: Callback
    cancelled: bool = False

    def cancel(self) -> None:
        """Do not do it."""
        self.cancelled = True


def _run(callback: Callback) -> None:
    try:
        callback()
    except Exception:  # noqa: BLE001 - see safety
        complain(getattr(callback, "__qualname__", repr(callback)))


class Loop:
    """Descriptors and timers, driven by kombu's hub or by a thread; callbacks run one at a time, under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        #: Called once a turn, after all else.
        self.on_turn: Callback = lambda: None
        #: Whether `on_turn` would do nothing; Celery's loop turns several times for each task.
        self.idle: Callable[[], bool] = lambda: False
        #: Celery's event loop, while we are on it.
        self.hub: Any = None
        #: The same; also while it stands still but will turn again, as when its broker is away.
        self.last_hub: Any = None
        self._readers: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = itertools.count()
        self._alarm: Any = None
        self._alarm_due = 0.0
        #: Counts the times that we moved to Celery's loop: alarms of an earlier one are void.
        self._life = 0
        self._thread: threading.Thread | None = None
        #: The pipe that ends a sleep; -1 after a fork, in the child.
        self._sleeper, self._waker = os.pipe()
        os.set_blocking(self._sleeper, False)
        os.set_blocking(self._waker, False)
        self._woken = False

    def add_reader(self, handle: int, callback: Callback) -> None:
        """Call back whenever the descriptor is readable."""
        self._readers[handle] = callback
        if self.hub is not None:
            self.hub.add_reader(handle, self._readable, handle)
        self.wake()

    def remove_reader(self, handle: int) -> None:
        """To be called before the descriptor is closed."""
        self._readers.pop(handle, None)
        if self.hub is not None:
            self.hub.remove(handle)

    def call_later(self, delay: float, callback: Callback) -> Timer:
        """Call back after so many seconds."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (monotonic() + delay, next(self._count), timer))
        self._arm()
        self.wake()
        return timer

    def _readable(self, handle: int) -> None:
        with self.lock:
            callback = self._readers.get(handle)
            if callback is not None:
                _run(callback)

    def _run_timers(self) -> None:
        now = monotonic()  # once: what is asked for meanwhile has to wait for the next turn
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                _run(timer.callback)

    # On Celery's loop

    def attach(self, hub: Any) -> None:
        """Move to Celery's loop, which has forgotten what it had of us if it was here before."""
        self.stop_thread()
        with self.lock:
            self.hub = self.last_hub = hub
            hub.add_reader(self._sleeper, self._awake)
            for handle in self._readers:
                hub.add_reader(handle, self._readable, handle)
            hub.on_tick.add(self._turn)
            self._alarm = None
            self._life += 1
            self._arm()

    def detach(self, *, for_good: bool) -> None:
        """Celery's loop stands still: move to a thread."""
        with self.lock:
            hub, self.hub = self.hub, None
            self.last_hub = None if for_good else hub
            if hub is not None:
                for handle in (self._sleeper, *self._readers):
                    hub.remove(handle)
                hub.on_tick.discard(self._turn)
        self.start_thread()

    def _turn(self) -> None:
        if self.idle():
            return
        with self.lock:
            alarm = self._alarm
            _run(self.on_turn)
            if self._alarm is not alarm:
                self._wake_up()  # the hub knows before a turn how long it will sleep after it (create_loop)

    def _arm(self) -> None:
        """Have one timer on the hub, for the earliest of ours: the hub cancels what it thinks a connection left."""
        if self.hub is None or not self._timers:
            return
        due = self._timers[0][0]
        if self._alarm is None or due < self._alarm_due:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_due = due
            self._alarm = self.hub.call_later(max(0.0, due - monotonic()), self._ring, self._life)

    def _ring(self, life: int) -> None:
        with self.lock:
            if self.hub is not None and life == self._life:
                self._alarm = None
                self._run_timers()
                self._arm()

    # In a thread

    def start_thread(self) -> None:
        """Drive descriptors and timers from a thread of our own."""
        with self.lock:
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._serve, name="signalbox-agent", daemon=True)
            self._thread.start()

    def stop_thread(self) -> None:
        """End the thread, if there is one; whatever is left to do is done wherever we go next."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._wake_up()
            thread.join(HANDOVER)

    def wake(self) -> None:
        """There is something to do: matters to the thread only, Celery's loop is where we are called from."""
        if self._thread is not None and not self._woken:
            self._wake_up()

    def call_soon(self, hub: Any, callback: Callback) -> None:
        """Call back in the next turn of Celery's loop, and have that come at once.

        What one turn leaves to the next while it works off what an earlier one has left waits, in kombu's hub, until
        something else ends the sleep between the two.
        """
        hub.call_soon(callback)
        if self.hub is not None:
            self._wake_up()

    def _wake_up(self) -> None:
        self._woken = True
        try:
            os.write(self._waker, b"x")
        except OSError:  # full: it will wake up in any case
            return

    def _awake(self) -> None:
        """Empty the pipe that ended the sleep."""
        try:
            os.read(self._sleeper, 4096)
        except BlockingIOError:  # the thread took it before it handed over
            return
        self._woken = False  # only now: who finds it set has put its work where this turn will see it

    def _serve(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            readable = self._wait()
            with self.lock:
                if self._thread is not me:
                    return
                for handle in readable:
                    self._readable(handle)
                self._run_timers()
                _run(self.on_turn)

    def _wait(self) -> list[int]:
        """The descriptors that are readable, after sleeping until there are some or a timer is due."""
        with self.lock:
            handles = [self._sleeper, *self._readers]
            delay = min(IDLE, max(0.0, self._timers[0][0] - monotonic())) if self._timers else IDLE
        readable = _poll(handles, delay)
        if self._sleeper in readable:
            readable.remove(self._sleeper)
            self._awake()
        return readable

    def abandon(self) -> None:
        """After a fork, in the child: the loop and its descriptors are the parent's business."""
        for handle in {*self._readers, self._sleeper, self._waker} - {-1}:  # a fork of a fork has none left
            os.close(handle)
        self._readers.clear()
        self._timers.clear()
        self.hub = self.last_hub = self._thread = None
        self._sleeper = self._waker = -1
        self.lock = threading.RLock()


def _poll(handles: list[int], delay: float) -> list[int]:
    # Looked up at each call: gevent and eventlet replace the module's functions, and eventlet takes poll away.
    if hasattr(select, "poll"):
        poller = select.poll()
        for handle in handles:
            poller.register(handle, select.POLLIN)
        return [handle for handle, _ in poller.poll(int(delay * 1000) + 1)]
    return select.select(handles, [], [], delay)[0]
