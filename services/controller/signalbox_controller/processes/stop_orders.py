"""Stop orders that are being carried out, on disk: the next controller completes them, in the name of who gave them."""

import time
from collections.abc import Iterable

import msgspec

from signalbox_controller.agents.running import Run
from signalbox_controller.state.remembered import RememberedTable
from signalbox_controller.words import Order


class PendingStop(msgspec.Struct, frozen=True):
    """A stop that has begun, and is not complete."""

    order: Order
    #: When its processes are killed, in seconds of the epoch.
    kill_at: float
    #: The tasks that ran when it began, noted again before the KILL: otherwise nobody would know them if the controller
    #: died together with the worker. Of a task that has ended since, the end that was published first counts.
    runs: tuple[Run, ...] = ()

    @property
    def left(self) -> float:
        """Seconds that are left until then."""
        return max(0.0, self.kill_at - time.time())


class StopOrders(RememberedTable[PendingStop]):
    """The stops by the name of the process. No fsync: when the machine dies the processes end, too."""

    shape = dict[str, PendingStop]
    meaning = "who stopped which process"

    def begin(self, name: str, order: Order, seconds: float, runs: Iterable[Run]) -> None:
        """Note that the process is being stopped, has so many seconds, and runs these tasks."""
        self.note(name, PendingStop(order, time.time() + seconds, tuple(runs)))

    def about_to_kill(self, name: str, runs: Iterable[Run]) -> None:
        """Note the tasks that run now: they end with the process."""
        if (stop := self.of(name)) is not None:
            self.note(name, msgspec.structs.replace(stop, runs=tuple(runs)))

    def of(self, name: str) -> PendingStop | None:
        """The stop of this process; None when it is not being stopped."""
        return self.value.get(name)
