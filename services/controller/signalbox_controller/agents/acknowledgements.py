"""The acknowledgements of one agent's events, by their sequence numbers."""

from signalbox.messages.events import AnyTaskEvent


class Acknowledgements:
    """The numbers taken in, and those whose event outlives the controller: on disk, or in Redis.

    That may happen in another order, as a proof is held until it is verified.
    """

    def __init__(self) -> None:
        self._received = 0
        self._open: dict[int, AnyTaskEvent | None] = {}

    def take(self, seq: int) -> bool:
        """Take an event in; answer whether it is new, rather than sent again after a reconnect."""
        if seq <= self._received:
            return False
        self._received = seq
        self._open[seq] = None
        return True

    def keep(self, seq: int, event: AnyTaskEvent) -> None:
        """Keep the event of a number until it outlives the controller."""
        self._open[seq] = event

    def settle(self, seq: int) -> None:
        """Note that the event of this number outlives the controller."""
        self._open.pop(seq, None)

    @property
    def waiting(self) -> list[AnyTaskEvent]:
        """The events that were taken in and would die with the controller, in their order."""
        return [event for event in self._open.values() if event is not None]

    @property
    def acked(self) -> int:
        """The number up to which every event that was taken in outlives the controller."""
        return next(iter(self._open), self._received + 1) - 1
