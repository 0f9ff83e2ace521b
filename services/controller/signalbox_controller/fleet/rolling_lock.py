"""Rolling lock over all hosts: they restart their processes one host after the other.

It is a lease in Redis that is renewed while it is held. It orders restarts, and does not fence them: a controller that
was suspended for longer than the lease lasts may find that another host has begun, and then waits for the lock before
it restarts another process.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.lock import acquire, release
from signalbox.errors import BusUnavailable
from signalbox_controller.errors import RestartNotAllowed

log = logging.getLogger(__name__)

#: Seconds after which the lock of a holder that does not renew it is free.
LEASE = 10.0
#: Seconds between two renewals, and between two looks of a host that waits.
RENEW, LOOK = 3.0, 0.25
#: Seconds that a host waits for the lock, and for Redis to come back.
PATIENCE, AWAY = 1800.0, 60.0
#: Seconds for which Redis keeps that a restart was called off.
REMEMBER = 3600.0
#: Why a restart of several hosts does not go on without Redis.
NO_REDIS = "Redis is away, and without it nobody knows whose turn it is"


class RollingLock:
    """The lock, as this host takes it."""

    def __init__(self, redis: Redis, host: str) -> None:
        self._redis = redis
        self._host = host

    @asynccontextmanager
    async def held(self, command_id: str, *, alone: bool) -> AsyncIterator["HeldLock"]:
        """Wait for the lock, and hold it until the body ends.

        Args:
            command_id: the restart that several hosts take part in.
            alone: whether only this host takes part, so that it needs no Redis to go on.

        Raises:
            RestartNotAllowed: the lock was not free in time, or the restart was called off.
        """
        lock = HeldLock(self._redis, self._host, command_id, alone=alone)
        await lock.confirm()
        renewing = asyncio.create_task(lock.renew())
        try:
            yield lock
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await lock.give_back()


class HeldLock:
    """The lock of one host in one restart."""

    def __init__(self, redis: Redis, host: str, command_id: str, *, alone: bool) -> None:
        self._redis = redis
        self._host = host
        self._name = f"{command_id}@{host}"
        self._called_off = names.restart_called_off(command_id)
        self._alone = alone

    async def confirm(self) -> None:
        """Return when this host holds the lock (still, or again).

        Raises:
            RestartNotAllowed: the lock was not free in time, or the restart was called off.
        """
        loop = asyncio.get_running_loop()
        began = answered = loop.time()
        holder = "another host"
        while loop.time() < began + PATIENCE:
            try:
                holder, error = await self._ask()
                answered = loop.time()
            except (BusUnavailable, RedisError) as away:
                if self._alone:
                    return
                if loop.time() > answered + AWAY:
                    raise RestartNotAllowed(NO_REDIS) from away
            else:
                if error:
                    raise RestartNotAllowed(error)
                if holder == self._name:
                    return
            await asyncio.sleep(LOOK)
        minutes = f"{PATIENCE / 60:.0f} minutes"
        raise RestartNotAllowed(f"its turn did not come within {minutes}; the last to have it was {holder}")

    async def call_off(self, reason: str) -> None:
        """Keep other hosts from beginning; without Redis none can begin."""
        with contextlib.suppress(BusUnavailable, RedisError):
            async with bus_errors():
                await self._redis.set(self._called_off, f"{self._host}: {reason}", px=int(REMEMBER * 1000))

    async def renew(self) -> None:
        """Renew the lock until cancelled."""
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(BusUnavailable, RedisError):
                await self._ask()

    async def give_back(self) -> None:
        """Free the lock; without Redis the lease runs out."""
        with contextlib.suppress(BusUnavailable, RedisError):
            await release(self._redis, names.RESTARTING, self._name)

    async def _ask(self) -> tuple[str, str]:
        """Take or renew the lock; return its holder, and why the restart was called off, if it was."""
        async with bus_errors():
            off = cast("bytes | None", await self._redis.get(self._called_off))
        if off is not None:
            return "", f"called off, as on {off.decode(errors='replace')}"
        return await acquire(self._redis, names.RESTARTING, self._name, LEASE), ""
