"""Telling a holder that is gone from one that is only between two renewals, without comparing clocks of hosts."""

from signalbox_controller.beat_lease.record import Seen


class Stillness:
    """Watches a lease: it is abandoned when it did not change for so long, by our own clock, while we could see it."""

    def __init__(self, patience: float) -> None:
        """`patience` is in seconds."""
        self._patience = patience
        self._seen: Seen | None = None
        self._since = 0.0

    def look(self, seen: Seen, now: float) -> bool:
        """Take in how it is at `now`; answer whether it is abandoned."""
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._patience

    def forget(self) -> None:
        """Begin again: while Redis was away, its holder could not renew it either."""
        self._seen = None
