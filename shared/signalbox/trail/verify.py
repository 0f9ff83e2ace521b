"""Verification of the chain: the first line that is not what was chained, and what is wrong with it; pure.

Lines come one after the other, so that a trail of any length needs little memory.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import msgspec

from signalbox.trail.line import End, Ends, TrailLine, digest

#: How much earlier a line may be than one before it: a transaction writes its line before it commits.
OUT_OF_ORDER = timedelta(hours=1)


class Problem(msgspec.Struct, frozen=True):
    """The first bad line."""

    #: Its number in the chain.
    number: int
    #: What is wrong, as a sentence.
    what: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification has found."""

    problem: Problem | None
    #: The lines whose hashes were right.
    verified: int
    #: The lines that are not chained yet: nothing is proven of them.
    unchained: int
    #: Numbers of the table that no line has: rolled back, or removed before they were chained.
    gaps: int
    #: The lines by the role of PostgreSQL that wrote them.
    writers: dict[str, int]
    #: The checkpoints that the chain agrees with.
    checkpoints: int


class Verifier:
    """Takes the lines in their order, those that are not chained last."""

    def __init__(self, ends: Ends, checkpoints: Iterable[End] = (), writers: Collection[str] = ()) -> None:
        """Verify from the cut to the head and beyond, as lines are chained meanwhile.

        `checkpoints` are ends that were noted elsewhere; `writers` the roles that may write, any if there are none.
        """
        self._ends = ends
        self._checkpoints = {point.number: point.hash for point in checkpoints}
        self._allowed = frozenset(writers)
        self._number, self._hash = ends.cut.number, ends.cut.hash
        self._latest = ""
        self._confirmed = self._unchained = self._verified = 0
        self._writers: Counter[str] = Counter()
        #: The lowest and the highest number in the table, and how many there are.
        self._span: tuple[int, int, int] | None = None
        self.problem: Problem | None = None

    def take(self, line: TrailLine) -> None:
        """Look at the next line; after the first bad one nothing can be said of those that follow."""
        if self.problem:
            return
        if line.number is None:
            self._unchained += 1
            self._note(line)
            return
        if not self._verified:
            self._check_point(self._number, self._hash)
        self.problem = self.problem or self._wrong_with(line)
        if self.problem is None:
            self._number, self._hash = line.number, line.hash
            self._verified += 1
            self._note(line)
            self._check_point(line.number, line.hash)

    def report(self) -> Report:
        """The result, once all lines were taken."""
        last = max([self._ends.head.number, *self._checkpoints])
        if self.problem is None and not self._verified:
            self._check_point(self._number, self._hash)
        if self.problem is None and self._number < last:
            self.problem = Problem(self._number + 1, f"it is missing, and so are all up to {last}: they were removed")
        lowest, highest, count = self._span or (0, 0, 0)
        return Report(
            problem=self.problem,
            verified=self._verified,
            unchained=self._unchained,
            gaps=highest - lowest + 1 - count if count else 0,
            writers=dict(self._writers),
            checkpoints=self._confirmed,
        )

    def _wrong_with(self, line: TrailLine) -> Problem | None:
        expected = self._number + 1
        what = self._breach(line, expected) or self._doubt(line)
        return Problem(expected, what) if what else None

    def _breach(self, line: TrailLine, expected: int) -> str:
        """How the chain is broken at this line; empty: it is not."""
        if line.number != expected:
            return f"it is missing: after {self._number} comes {line.number}"
        if line.lost:
            return f"it was removed: the chain has line {line.line} of the table, the table has not"
        if digest(self._hash, line) != line.hash:
            return "it, its hash or its place was changed: the hash is not that of what it says"
        if self._ends.head.number == expected and self._ends.head.hash != line.hash:
            return "the head of the chain has another hash for it: one of the two was changed"
        return ""

    def _doubt(self, line: TrailLine) -> str:
        """Why a line in its place was not written by a service; empty: nothing says so."""
        if self._allowed and line.written_by not in self._allowed:
            return f"it was written by the role {line.written_by}, which may not"
        if _earlier(line.at, self._latest):
            return f"it says {line.at}, after a line of {self._latest}: it was added later"
        return ""

    def _check_point(self, number: int, found: str) -> None:
        noted = self._checkpoints.get(number)
        if noted == found:
            self._confirmed += 1
        elif noted is not None and self.problem is None:
            self.problem = Problem(number, "its hash is not that of the checkpoint: it, or a line before, was changed")

    def _note(self, line: TrailLine) -> None:
        self._latest = max(self._latest, line.at)
        self._writers[line.written_by] += 1
        lowest, highest, count = self._span or (line.line, line.line, 0)
        self._span = min(lowest, line.line), max(highest, line.line), count + 1


def _earlier(at: str, latest: str) -> bool:
    try:
        return bool(latest) and datetime.fromisoformat(at) < datetime.fromisoformat(latest) - OUT_OF_ORDER
    except ValueError:  # of a year that Python does not know
        return True
