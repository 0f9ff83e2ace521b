"""Clock of the bus: that of Redis, by which commands are issued and expire, whatever the clocks of the hosts say."""

import time
from datetime import UTC, datetime

from redis.asyncio import Redis

from signalbox.bus.connection import bus_errors

#: Seconds by which a clock may differ without being called wrong.
TOLERATED = 1.0
#: Seconds by which the difference must change to be taken for another one: measurements vary with the network.
STEADY = 0.25


class BusClock:
    """The clock of Redis, and how far the clock of this machine is ahead of it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        #: Seconds from the monotonic clock of this machine to the clock of Redis.
        self._from_monotonic: float | None = None
        self._ahead = 0.0

    async def now(self) -> datetime:
        """The time, asked for now: no clock of this machine has a part in it.

        Raises:
            BusUnavailable: Redis is away.
        """
        async with bus_errors(self._redis):
            before = time.monotonic()
            seconds, microseconds = await self._redis.time()
        at = int(seconds) + int(microseconds) / 1e6
        self._from_monotonic = at - (before + time.monotonic()) / 2
        return datetime.fromtimestamp(at, UTC)

    @property
    def ahead(self) -> float | None:
        """Seconds by which the clock of this machine is ahead, 0 where that is tolerated; None: not known yet.

        A clock that is set anew is noticed at once, as the monotonic one goes on.
        """
        if self._from_monotonic is None:
            return None
        measured = time.time() - (time.monotonic() + self._from_monotonic)
        if abs(measured - self._ahead) > STEADY:
            self._ahead = measured if abs(measured) > TOLERATED else 0.0
        return self._ahead
