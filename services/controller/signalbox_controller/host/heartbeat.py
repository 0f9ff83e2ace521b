"""Heartbeat of the host: its presence, processes and running tasks, and what the record has confirmed."""

import asyncio
import contextlib

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.clock import BusClock
from signalbox.bus.confirmations import read_confirmation
from signalbox.bus.presence import HEARTBEAT, announce, withdraw
from signalbox.errors import BusUnavailable
from signalbox.messages.base import utc_now
from signalbox.messages.events import HostLeft, HostSeen
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.linux.cgroups import Containment
from signalbox_controller.state.outbox import Outbox
from signalbox_controller.state.replay import Replay

#: Seconds that adopted workers have to report what they run; a list without theirs would look like lost tasks.
ADOPTION = 5.0


class Heartbeat:
    """Announces presence to the givers of commands, and publishes HostSeen for the record."""

    def __init__(
        self,
        host: str,
        redis: Redis,
        outbox: Outbox,
        fleet: Fleet,
        containment: Containment,
        replay: Replay,
        clock: BusClock,
    ) -> None:
        self.host = host
        self._redis = redis
        self._outbox = outbox
        self._fleet = fleet
        self._containment = containment
        self._replay = replay
        self._clock = clock
        self._leaving = False
        #: How many hosts read commands, this one among them, at the last heartbeat.
        self.hosts_present = 1

    async def run(self) -> None:
        """Beat for ever, and silently once the controller leaves."""
        loop = asyncio.get_running_loop()
        adopted_by = loop.time() + ADOPTION
        while True:
            if not self._leaving:
                await self._beat(complete=self._fleet.complete or loop.time() > adopted_by)
            await asyncio.sleep(HEARTBEAT)

    async def _beat(self, *, complete: bool) -> None:
        with contextlib.suppress(BusUnavailable, RedisError):  # the outbox says so in the log
            self.hosts_present = await announce(self._redis, self.host)
            await self._clock.now()
            await self._follow_record()
        # While Redis is away heartbeats are not kept, as an old one is of no use.
        if self._outbox.connected and complete and not self._leaving:
            self._outbox.put(self.status())

    async def _follow_record(self) -> None:
        """Forget what the record has confirmed, and publish again what it lacks."""
        numbers = self._outbox.numbers
        if numbers and (confirmation := await read_confirmation(self._redis, numbers.epoch)):
            self._replay.follow(confirmation)

    def status(self) -> HostSeen:
        """The status of the host."""
        return HostSeen(
            at=utc_now(),
            host=self.host,
            processes=self._fleet.status(),
            running=self._fleet.running(),
            interval=HEARTBEAT,
            proof=self._containment.evidence,
            proof_detail=self._containment.reason,
            numbers=self._outbox.numbers,
            clock_ahead=self._clock.ahead,
        )

    async def withdraw(self) -> None:
        """Publish that the controller ends on purpose; without Redis nobody knows."""
        self._leaving = True
        self._outbox.put(HostLeft(at=utc_now(), host=self.host))
        with contextlib.suppress(BusUnavailable, RedisError):
            await withdraw(self._redis, self.host, empty=self._fleet.empty)
