"""Backoff of a process that failed: the pauses before it is launched again, and after how many it is given up."""

from collections.abc import Callable
from random import uniform

import msgspec


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """The pauses between launches; durations are in seconds."""

    #: The first pause; each further one is twice as long.
    first: float = 0.5
    most: float = 60.0
    #: The longest pause while it waits for something outside, which may come back at any time.
    outside: float = 10.0
    #: A process that ran for so long has recovered, and its failures are forgotten.
    quiet: float = 60.0


class Failures:
    """The failures in a row of one process."""

    def __init__(self, backoff: Backoff, limit: int, jitter: Callable[[float, float], float] = uniform) -> None:
        """After `limit` failures in a row it is given up: with the usual pauses and eight, after a minute."""
        self._backoff = backoff
        self._limit = limit
        self._jitter = jitter
        self._most = backoff.most
        self._tries = 0
        self.count = 0

    def forget(self) -> None:
        """Begin again: a person started it, or it recovered."""
        self.count = self._tries = 0

    def add(self, ran: float) -> bool:
        """Note a failure after `ran` seconds of running; answer whether it is worth another try."""
        self._try_again(ran, self._backoff.most)
        self.count += 1
        return self.count < self._limit

    def wait(self, ran: float) -> None:
        """Note that it could not begin for a reason outside: worth a try for as long as it takes."""
        self._try_again(ran, self._backoff.outside)

    def _try_again(self, ran: float, most: float) -> None:
        if ran >= self._backoff.quiet:
            self.forget()
        self._tries += 1
        self._most = most

    def pause(self) -> float:
        """Seconds to wait before the next try, between half and the whole of the present step."""
        step = min(self._backoff.first * 2 ** min(max(self._tries, 1) - 1, 16), self._most)
        return self._jitter(step / 2, step)
