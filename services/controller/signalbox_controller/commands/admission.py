"""Admission of commands: which of them this host carries out, by the clock of the bus."""

from datetime import datetime, timedelta
from typing import Literal

from redis.asyncio import Redis

from signalbox.bus.clock import BusClock
from signalbox.bus.receipts import concluded_at
from signalbox.messages.commands import AllowTask, AnyCommand, CancelTask, CancelTasks

#: Commands that do not expire, and are for every host.
LASTING = (CancelTask, CancelTasks, AllowTask)
#: A host that was away refuses commands that expired within this time; it ignores older ones.
AWAY = timedelta(days=1)


class Admission:
    """Admission on one host.

    Cancels and releases are carried out however late they are read: a lost cancel would let its task run, and a lost
    release would refuse it. A `new` controller, whose data folder is empty, ignores all that had expired or was
    finished before it came.
    """

    def __init__(self, redis: Redis, clock: BusClock, *, new: bool) -> None:
        self._redis = redis
        self._clock = clock
        self._new = new
        self._joined_at: datetime | None = None

    async def join(self) -> datetime:
        """Note the time from which on every command is for this host; the first call counts.

        Raises:
            BusUnavailable: Redis is away.
        """
        if self._joined_at is None:
            self._joined_at = await self._clock.now()
        return self._joined_at

    async def of(self, command: AnyCommand) -> Literal["accepted", "expired", "ignored"]:
        """Whether to carry out a command that is read now.

        Raises:
            BusUnavailable: Redis is away.
        """
        if isinstance(command, LASTING):  # of them only a new controller has to ask
            return "accepted" if not self._new or command.expires_at > await self.join() else "ignored"
        joined_at, now = await self.join(), await self._clock.now()
        if command.expires_at <= now:
            return "expired" if command.expires_at > (joined_at if self._new else joined_at - AWAY) else "ignored"
        if self._new and (ended := await concluded_at(self._redis, command.command_id)) and ended <= joined_at:
            return "ignored"
        return "accepted"

    async def is_current(self, expires_at: datetime) -> bool:
        """Whether somebody may still wait for the answer to a command that expires then.

        Raises:
            BusUnavailable: Redis is away.
        """
        return expires_at > await self._clock.now()
