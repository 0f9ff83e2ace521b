"""The expiry of a lease, without comparing clocks of hosts: its holder is gone, or only between two renewals."""

from signalbox_controller.beat_lease.record import LeaseState


class Expiry:
    """Watches a lease: it has expired when it did not change for so long by our own clock.

    Only the time in which it could be seen counts.
    """

    def __init__(self, patience: float) -> None:
        """`patience` is in seconds."""
        self._patience = patience
        self._seen: LeaseState | None = None
        self._since = 0.0

    def look(self, seen: LeaseState, now: float) -> bool:
        """Take in how it is at `now`; answer whether it has expired."""
        if seen != self._seen:
            self._seen, self._since = seen, now
        return now - self._since >= self._patience

    def forget(self) -> None:
        """Begin again: while Redis was away, its holder could not renew it either."""
        self._seen = None
