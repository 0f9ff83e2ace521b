"""Liveness of a process: in how many turns it gave no sign of life.

A worker answers our pings on the loop that fetches tasks: where that stands still, the worker takes none. The sign of
life of a beat is its tick: each names the time until the next one, and a beat whose tick is overdue hangs.
"""

import asyncio
from datetime import datetime

from signalbox.messages.base import utc_now

#: Seconds between two turns, in each of which a sign of life is due.
EVERY = 2.0
#: Turns in a row without a sign of life after which a process is silent. Counted and not timed: when we ourselves stood
#: still, what it sent meanwhile waits to be read.
UNANSWERED = 4
#: Seconds by which a tick may be late before it is missed: beat, its machine or its broker may be busy.
GRACE = 10.0


class Liveness:
    """The signs of life on one connection."""

    def __init__(self) -> None:
        self._unanswered = 0

    @property
    def unanswered(self) -> int:
        """How many turns in a row passed without a sign of life."""
        return self._unanswered

    def answered(self) -> bool:
        """Take a sign of life; answer whether it ends a silence."""
        silent, self._unanswered = self._unanswered > UNANSWERED, 0
        return silent

    def missed(self) -> bool:
        """Count a turn without one; answer whether the process is silent from now on."""
        self._unanswered += 1
        return self._unanswered == UNANSWERED + 1


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
