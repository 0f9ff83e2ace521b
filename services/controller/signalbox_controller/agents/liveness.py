"""Liveness of a process: in how many turns it gave no sign of life.

A worker answers our pings on the loop that fetches tasks: where that stands still, the worker takes none. The sign of
life of a beat is its tick; see `hung_beat.py`.
"""

#: Seconds between two turns, in each of which a sign of life is due.
EVERY = 2.0
#: Turns in a row without a sign of life after which a process is silent. Counted and not timed: when we ourselves stood
#: still, what it sent meanwhile waits to be read.
UNANSWERED = 4


class Liveness:
    """The signs of life on one connection."""

    def __init__(self) -> None:
        self._unanswered = 0

    def answered(self) -> bool:
        """Take a sign of life; answer whether it ends a silence."""
        silent, self._unanswered = self._unanswered > UNANSWERED, 0
        return silent

    def missed(self) -> bool:
        """Count a turn without one; answer whether the process is silent from now on."""
        self._unanswered += 1
        return self._unanswered == UNANSWERED + 1
