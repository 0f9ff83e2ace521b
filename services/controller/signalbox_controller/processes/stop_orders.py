"""Stops that are under way, on disk: the next controller carries them through, in the name of whoever gave them."""

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from signalbox_controller.agents.running import Run
from signalbox_controller.state.remembered import RememberedTable
from signalbox_controller.words import Order


class UnderWay(msgspec.Struct, frozen=True):
    """A stop that has begun."""

    order: Order
    #: When what is left is killed, in seconds of the epoch.
    kill_at: float
    #: What ran when it began, and again when the KILL was about to be sent: nobody else can tell, should we die in the
    #: same moment as the worker. Of what has ended since, the first end that was told counts.
    runs: tuple[Run, ...] = ()

    @property
    def left(self) -> float:
        """Seconds that it still has."""
        return max(0.0, self.kill_at - time.time())


class Orders(RememberedTable[UnderWay]):
    """The stops by the name of the process. No fsync: with the machine the processes end, too."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        super().__init__(path, dict[str, UnderWay], "who told which process to stop")

    def begin(self, name: str, order: Order, seconds: float, runs: Iterable[Run]) -> None:
        """Note that the process is being stopped, has so many seconds, and runs these tasks."""
        self.note(name, UnderWay(order, time.time() + seconds, tuple(runs)))

    def about_to_kill(self, name: str, runs: Iterable[Run]) -> None:
        """Whatever runs now ends with the process."""
        if (stop := self.of(name)) is not None:
            self.note(name, msgspec.structs.replace(stop, runs=tuple(runs)))

    def of(self, name: str) -> UnderWay | None:
        """The stop of this process that is under way."""
        return self.value.get(name)
