"""The acknowledgements of one agent's events, by their sequence numbers."""

from collections.abc import Sequence

from signalbox.messages.events import AnyTaskEvent


class Acknowledgements:
    """The numbers taken in, and those whose events outlive the controller: on disk, or in Redis.

    That may happen in another order, as a proof is held until it is verified.
    """

    def __init__(self) -> None:
        self._received = 0
        self._open: dict[int, Sequence[AnyTaskEvent]] = {}

    def take(self, seq: int) -> bool:
        """Take an event in; answer whether it is new, rather than sent again after a reconnect."""
        if seq <= self._received:
            return False
        self._received = seq
        self._open[seq] = ()
        return True

    def keep(self, seq: int, *events: AnyTaskEvent) -> None:
        """Keep the events of a number until they outlive the controller."""
        self._open[seq] = events

    def settle(self, seq: int) -> None:
        """Note that the events of this number outlive the controller."""
        self._open.pop(seq, None)

    @property
    def waiting(self) -> list[AnyTaskEvent]:
        """The events that were taken in and would die with the controller, in their order."""
        return [event for events in self._open.values() for event in events]

    @property
    def acked(self) -> int:
        """The number up to which every event that was taken in outlives the controller."""
        return next(iter(self._open), self._received + 1) - 1
