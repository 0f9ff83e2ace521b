"""Progress of a run as lines for the terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Takes one line of progress.
Report = Callable[[str], None]


def to_terminal(line: str) -> None:
    """Print without buffering."""
    print(line, flush=True)


@contextmanager
def step(report: Report, what: str) -> Iterator[None]:
    """Report `what` and its duration when the body is done."""
    began = time.monotonic()
    yield
    report(f"  {what} ({time.monotonic() - began:.1f} s)")
