"""Lines for the person at the terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Report(Protocol):
    """Somebody who wants to know how far it is."""

    def __call__(self, line: str) -> None:
        """Take a line."""


def to_terminal(line: str) -> None:
    """Print at once: whoever waits reads along."""
    print(line, flush=True)


def silent(line: str) -> None:
    """For tests: nobody reads along."""


@contextmanager
def step(report: Report, what: str) -> Iterator[None]:
    """Report `what` was done and how long it took, once it is."""
    began = time.monotonic()
    yield
    report(f"  {what} ({time.monotonic() - began:.1f} s)")
