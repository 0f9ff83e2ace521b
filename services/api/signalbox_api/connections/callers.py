"""Callers: how many websockets each holds, whichever addresses they come from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from signalbox_api.errors import TooManySockets


class Callers:
    """Counts the websockets of each user and token."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = Counter[str]()

    @contextmanager
    def holding(self, caller: str) -> Iterator[None]:
        """Count one more for as long as the block lasts.

        Raises:
            TooManySockets: the caller holds as many as one may.
        """
        if self._held[caller] >= self._most:
            raise TooManySockets(f"{self._most} live connections of {caller} are open already; close some pages")
        self._held[caller] += 1
        try:
            yield
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
