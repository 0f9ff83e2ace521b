"""Stops that are under way, on disk: the next controller carries them through, in the name of whoever gave them."""

import logging
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from signalbox_controller.agents.running import Run
from signalbox_controller.state import statefile
from signalbox_controller.words import Order

log = logging.getLogger(__name__)


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


class Orders:
    """The stops by the name of the process. No fsync: with the machine the processes end, too."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        self._path = path
        self._orders = statefile.read(path, dict[str, UnderWay], {}, "who told which process to stop")

    def note(self, name: str, order: Order, seconds: float, runs: Iterable[Run]) -> None:
        """The process is being stopped, has so many seconds, and runs these tasks."""
        self._orders[name] = UnderWay(order, time.time() + seconds, tuple(runs))
        self._save()

    def about_to_kill(self, name: str, runs: Iterable[Run]) -> None:
        """Whatever runs now ends with the process."""
        if (stop := self._orders.get(name)) is not None:
            self._orders[name] = msgspec.structs.replace(stop, runs=tuple(runs))
            self._save()

    def of(self, name: str) -> UnderWay | None:
        """The stop of this process that is under way."""
        return self._orders.get(name)

    def forget(self, name: str) -> None:
        """It has ended."""
        if self._orders.pop(name, None) is not None:
            self._save()

    def _save(self) -> None:
        try:
            statefile.write(self._path, self._orders, durable=False)
        except OSError as error:  # a full disk keeps nobody from stopping
            log.error("%s cannot be written: %s; a restart may forget who stopped what", self._path, error)  # noqa: TRY400
