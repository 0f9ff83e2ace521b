"""A hung beat: its tick is overdue, by its own promise: each `tick` names the time until the next one."""

import asyncio
from datetime import datetime

from signalbox.messages.base import utc_now

#: Seconds by which a tick may be late before it is missed: beat, its machine or its broker may be busy.
GRACE = 10.0


class Ticks:
    """The ticks of a beat, by our own monotonic clock."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._fresh = False
        #: When the latest one came, for people to read.
        self.latest: datetime = utc_now()

    def take(self, due_in: float | None) -> None:
        """Take a tick; the next one is due in so many seconds, or at no time that we know of."""
        self._due = None if due_in is None else _from_now(due_in)
        self._fresh = True
        self.latest = utc_now()

    def expect(self, seconds: float) -> None:
        """Have the next tick due in so many seconds, if any is: beat sends a message, and its broker may be slow."""
        if self._due is not None:
            self._due = _from_now(seconds)

    def missed(self) -> bool:
        """Take one turn; answer whether a tick was due in it and none came."""
        fresh, self._fresh = self._fresh, False
        return self.overdue and not fresh

    @property
    def overdue(self) -> bool:
        """Whether the next tick should have come; before the first one nothing is promised."""
        return self._due is not None and asyncio.get_running_loop().time() > self._due


def _from_now(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds + GRACE
