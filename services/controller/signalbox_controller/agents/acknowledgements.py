"""Which events of an agent are safe in Redis: pure bookkeeping of sequence numbers."""

from signalbox.messages.events import AnyTaskEvent


class Ledger:
    """Numbers taken in and published; the latter may come in another order, as a proof is held until verified."""

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
        """What it says, until it is published."""
        self._open[seq] = event

    def publish(self, seq: int) -> None:
        """It is in Redis."""
        self._open.pop(seq, None)

    @property
    def waiting(self) -> list[AnyTaskEvent]:
        """What was taken in and is not published, in its order."""
        return [event for event in self._open.values() if event is not None]

    @property
    def acked(self) -> int:
        """The number up to which everything that was taken in is safe."""
        return next(iter(self._open), self._received + 1) - 1
