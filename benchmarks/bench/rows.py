"""Rows of the report: what is measured, what it has to be, and what was seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.figures import Spread, ratios

#: Whether a target holds; "not measured" also where only Flower's figure is missing and the target is a ratio.
Verdict = Literal["reached", "missed", "not measured", ""]


@dataclass(frozen=True)
class Target:
    """A limit for the median of our figures, or for that of the ratios ours/Flower's."""

    limit: float
    #: Whether larger figures are better.
    at_least: bool = False
    of_ratio: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is within the limit, which belongs to it."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the report, known before anything is measured."""

    key: str
    what: str
    unit: str
    target: Target | None = None
    #: Whether a larger figure is better.
    more_is_better: bool = False


@dataclass
class Measured:
    """What was measured for a row: a figure for each round."""

    ours: Sequence[float] = ()
    flower: Sequence[float] = ()
    note: str = ""


@dataclass
class Measurements:
    """What a part has measured so far, by the key of the row; it survives a part that fails."""

    rows: Sequence[Row]
    by_key: dict[str, Measured] = field(default_factory=dict)

    def put(self, key: str, ours: Sequence[float], flower: Sequence[float] = (), note: str = "") -> None:
        """Note the figures of a row.

        Raises:
            KeyError: the part has no such row.
        """
        if key not in {row.key for row in self.rows}:
            raise KeyError(key)
        self.by_key[key] = Measured(tuple(ours), tuple(flower), note)

    def of(self, row: Row) -> Measured:
        """What was measured for this row; nothing at all is empty figures."""
        return self.by_key.get(row.key, Measured())


def verdict(row: Row, measured: Measured) -> Verdict:
    """Whether the target of the row is reached; empty: it has none."""
    if row.target is None:
        return "" if measured.ours else "not measured"
    values = ratios(measured.ours, measured.flower) if row.target.of_ratio else measured.ours
    spread = Spread.of(values)
    if spread is None:
        return "not measured"
    return "reached" if row.target.holds(spread.median) else "missed"


def loses(row: Row, measured: Measured) -> bool:
    """Whether Flower's figure is the better one."""
    spread = Spread.of(ratios(measured.ours, measured.flower))
    if spread is None:
        return False
    return spread.median < 1 if row.more_is_better else spread.median > 1
