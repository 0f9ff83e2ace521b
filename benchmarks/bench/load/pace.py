"""Pace of a load: as fast as it goes, or so many a second, in portions of a few milliseconds."""

import time
from collections.abc import Iterator

#: Seconds between two portions of a paced load.
_STEP = 0.01
#: Portions of one that is not paced.
_PORTION = 200


def portions(count: int, rate: float) -> Iterator[range]:
    """The numbers from 0 to `count`, in portions; with a `rate` (a second, 0: none) it sleeps between them."""
    begun, done = time.monotonic(), 0
    while done < count:
        due = count if not rate else min(count, int((time.monotonic() - begun) * rate) + 1)
        end = min(due, done + _PORTION)
        if end > done:
            yield range(done, end)
            done = end
        else:
            time.sleep(_STEP)
