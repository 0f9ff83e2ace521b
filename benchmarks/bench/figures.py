"""Statistics of repeated measurements."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` (1 to 99) of the values do not exceed, interpolated; of one value that value.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there is no percentile of no values")
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


@dataclass(frozen=True)
class Spread:
    """The median of some values, and the smallest and the largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """That of these values; None: there are none."""
        return cls(statistics.median(values), min(values), max(values)) if values else None


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours as multiples of theirs: round by round where both have as many rounds, else that of the medians.

    A round is left out where theirs is 0, as nothing is a multiple of that.
    """
    if len(ours) == len(theirs):
        return [our / their for our, their in zip(ours, theirs, strict=True) if their]
    if not ours or not theirs or not statistics.median(theirs):
        return []
    return [statistics.median(ours) / statistics.median(theirs)]
