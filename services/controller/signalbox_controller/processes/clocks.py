"""The clocks of a supervised process: those of a stop, that of a start, and the pause before another try."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto

from signalbox.messages.base import utc_now


class Clock(Enum):
    """What is waited for."""

    #: A stop that lets tasks finish stops doing so.
    GRACE = auto()
    #: A stop kills.
    DEADLINE = auto()
    #: A start has to have succeeded.
    READY = auto()
    #: The next try is due.
    PAUSE = auto()


class Clocks:
    """At most one of each runs; durations are in seconds."""

    def __init__(self) -> None:
        self._timers: dict[Clock, asyncio.TimerHandle] = {}
        #: When the deadline comes, as people write times; none while it does not run.
        self.kill_at: datetime | None = None

    def start(self, clock: Clock, seconds: float, passed: Callable[[], None]) -> None:
        """Start a clock, or start it over."""
        if (running := self._timers.get(clock)) is not None:
            running.cancel()
        self._timers[clock] = asyncio.get_running_loop().call_later(seconds, passed)
        if clock is Clock.DEADLINE:
            self.kill_at = utc_now() + timedelta(seconds=seconds)

    def hasten(self, clock: Clock, seconds: float, passed: Callable[[], None]) -> None:
        """Start a clock, or bring it forward; it is never put off."""
        running = self._timers.get(clock)
        if running is None or asyncio.get_running_loop().time() + seconds < running.when():
            self.start(clock, seconds, passed)

    def stop(self) -> None:
        """Stop all of them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.kill_at = None
