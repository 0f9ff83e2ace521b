"""Refusals of requests and failed sign-ins as lines of the trail: those that repeat are counted; pure.

The first of a kind is a line soon; what repeats it within a minute is one more line with their number. At most so many
kinds are told apart at a time, and all others are counted as one.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from signalbox.trail.append import NewLine

#: For so long what repeats is counted.
WINDOW = timedelta(minutes=1)
#: Kinds that are counted at a time.
KINDS = 100


class Refused(NamedTuple):
    """What is the same in refusals that are counted as one."""

    #: `refusal`, or `sign-in`.
    kind: str
    #: A user or token, or in words why nobody knows.
    who: str
    address: str
    #: Method and route.
    about: str
    #: HTTP.
    status: int


class _Count:
    """Refusals of one kind since the last line about them."""

    def __init__(self, at: datetime) -> None:
        self.begun, self.first, self.last = at, at, at
        self.times, self.message, self.is_new = 0, "", True


class Refusals:
    """Counts refusals; times are those of the caller."""

    def __init__(self) -> None:
        self._counts: dict[Refused, _Count] = {}

    def note(self, refused: Refused, message: str, at: datetime) -> None:
        """Count a refusal; `message` is what the caller was told."""
        if refused not in self._counts and len(self._counts) >= KINDS:
            refused = Refused(refused.kind, "several", "several", "several", refused.status)
        count = self._counts.setdefault(refused, _Count(at))
        if not count.times:
            count.first = at
        count.times, count.last, count.message = count.times + 1, at, message

    def due(self, at: datetime) -> Iterator[NewLine]:
        """The lines that are to be written now; what has ended is forgotten."""
        for refused, count in list(self._counts.items()):
            ended = at - count.begun >= WINDOW
            if count.times and (count.is_new or ended):
                yield _line(refused, count)
                count.is_new, count.times, count.begun = False, 0, at
            elif ended:
                del self._counts[refused]

    def rest(self) -> Iterator[NewLine]:
        """All that was counted and not written."""
        for refused, count in self._counts.items():
            if count.times:
                yield _line(refused, count)
        self._counts.clear()


def _line(refused: Refused, count: _Count) -> NewLine:
    return NewLine(
        kind=refused.kind,
        who=refused.who,
        address=refused.address,
        about=refused.about,
        details={
            "status": refused.status,
            "message": count.message,
            "times": count.times,
            "first": count.first,
            "last": count.last,
        },
        outcome="refused",
    )
