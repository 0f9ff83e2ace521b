"""The two clocks of a supervised process: the deadline of a stop, and the pause before another try."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from signalbox.messages.base import utc_now


class Clocks:
    """At most one of each runs; durations are in seconds."""

    def __init__(self) -> None:
        self._deadline: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        #: When the deadline comes, as people write times; none while it does not run.
        self.kill_at: datetime | None = None

    def deadline(self, seconds: float, passed: Callable[[], None]) -> None:
        """Start the deadline, or bring it forward; it is never put off."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if self._deadline is None or when < self._deadline.when():
            if self._deadline is not None:
                self._deadline.cancel()
            self._deadline = loop.call_at(when, passed)
            self.kill_at = utc_now() + timedelta(seconds=seconds)

    def pause(self, seconds: float, elapsed: Callable[[], None]) -> None:
        """Start the pause."""
        self._pause = asyncio.get_running_loop().call_later(seconds, elapsed)

    def stop(self) -> None:
        """Stop both."""
        for timer in (self._deadline, self._pause):
            if timer is not None:
                timer.cancel()
        self._deadline = self._pause = self.kill_at = None
