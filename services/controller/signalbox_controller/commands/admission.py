"""Admission of commands: which of them this host carries out, by the clock of the bus."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from redis.asyncio import Redis

from signalbox.bus.clock import BusClock
from signalbox.bus.receipts import concluded_at
from signalbox.messages.commands import AllowTask, AnyCommand, CancelTask, CancelTasks
from signalbox_controller.state.remembered import Remembered

#: Commands that do not expire, and are for every host.
LASTING = (CancelTask, CancelTasks, AllowTask)
#: A host that was away refuses commands that expired within this time; it ignores older ones.
AWAY = timedelta(days=1)


class Arrival(msgspec.Struct, frozen=True):
    """How a host came to the fleet; `at` is None until Redis was there to say the time."""

    #: Its data folder was empty.
    new: bool
    at: datetime | None = None


class Admission:
    """Admission on one host.

    Cancels and releases are carried out however late they are read: a lost cancel would let its task run, and a lost
    release would refuse it. A host whose data folder was empty ignores all that had expired or was finished
    before it came, however often its controller has started since.
    """

    def __init__(self, redis: Redis, clock: BusClock, path: Path, *, new: bool) -> None:
        """`path` is the file that remembers when the host came; `new` counts where there is no such file.

        Raises:
            StateUnreadable: the file is damaged.
        """
        self._redis = redis
        self._clock = clock
        meaning = "which commands were finished before this host came"
        self._arrival = Remembered(path, Arrival, Arrival(new), meaning, durable=True)
        if not path.exists():
            self._arrival.save()
        self._joined_at: datetime | None = None

    async def join(self) -> datetime:
        """The time of this start; the first of a host is kept as that from which on every command is for it.

        Raises:
            BusUnavailable: Redis is away.
        """
        if self._joined_at is None:
            self._joined_at = await self._clock.now()
            if self._arrival.value.at is None:
                self._arrival.set(Arrival(self._arrival.value.new, self._joined_at))
        return self._joined_at

    async def of(self, command: AnyCommand) -> Literal["accepted", "expired", "ignored"]:
        """Whether to carry out a command that is read now.

        Raises:
            BusUnavailable: Redis is away.
        """
        if isinstance(command, LASTING):  # of them only a new host that Redis has not told the time yet has to ask
            came_at = await self._came_at()
            return "accepted" if came_at is None or command.expires_at > came_at else "ignored"
        started_at, came_at = await self.join(), await self._came_at()
        if command.expires_at <= await self._clock.now():
            since = started_at - AWAY
            return "expired" if command.expires_at > max(since, came_at or since) else "ignored"
        if came_at and (ended := await concluded_at(self._redis, command.command_id)) and ended <= came_at:
            return "ignored"
        return "accepted"

    async def _came_at(self) -> datetime | None:
        """When a host came whose data folder was empty; None of another."""
        if not self._arrival.value.new:
            return None
        return self._arrival.value.at or await self.join()

    async def is_current(self, expires_at: datetime) -> bool:
        """Whether somebody may still wait for the answer to a command that expires then.

        Raises:
            BusUnavailable: Redis is away.
        """
        return expires_at > await self._clock.now()
