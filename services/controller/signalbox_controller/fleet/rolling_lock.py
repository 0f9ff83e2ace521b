"""Rolling lock over all hosts: they restart their processes one host after the other.

It is a lease in Redis that is renewed while it is held. It orders restarts, and does not fence them: a controller that
was suspended for longer than the lease lasts may find that another host has begun, and then waits for the lock before
it restarts another process.
"""

import asyncio
import contextlib
import logging
from typing import Self, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.lock import acquire, release
from signalbox.errors import BusUnavailable
from signalbox.service import background
from signalbox_controller.errors import RestartNotAllowed

log = logging.getLogger(__name__)

#: Seconds after which the lock of a holder that does not renew it is free.
LEASE = 10.0
#: Seconds between two renewals, and between two polls of a host that waits.
RENEW, POLL = 3.0, 0.25
#: Seconds that a host waits for the lock, and for Redis to come back.
LOCK_WITHIN, REDIS_WITHIN = 1800.0, 60.0
#: Seconds for which Redis keeps that a restart was called off.
REMEMBER = 3600.0
#: Why a restart of several hosts does not go on without Redis.
NO_REDIS = "Redis is away, and without it nobody knows whose turn it is"


class RollingLock:
    """The lock of one host in one restart; as a context, it is held and renewed until the body ends."""

    def __init__(self, redis: Redis, host: str, command_id: str, *, alone: bool) -> None:
        """Several hosts may take part in the restart; one that is `alone` in it needs no Redis to go on."""
        self._redis = redis
        self._host = host
        self._name = f"{command_id}@{host}"
        self._called_off = names.restart_called_off(command_id)
        self._alone = alone
        self._renewing = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Wait for the lock; raises as `confirm` does."""
        await self.confirm()
        await self._renewing.enter_async_context(background(self._renew))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Free the lock; without Redis the lease runs out."""
        await self._renewing.aclose()
        with contextlib.suppress(BusUnavailable, RedisError):
            await release(self._redis, names.RESTARTING, self._name)

    async def confirm(self) -> None:
        """Return when this host holds the lock (still, or again).

        Raises:
            RestartNotAllowed: the lock was not free in time, or the restart was called off.
        """
        loop = asyncio.get_running_loop()
        began = answered = loop.time()
        holder = "another host"
        while loop.time() < began + LOCK_WITHIN:
            try:
                holder, error = await self._ask()
                answered = loop.time()
            except (BusUnavailable, RedisError) as away:
                if self._alone:
                    return
                if loop.time() > answered + REDIS_WITHIN:
                    raise RestartNotAllowed(NO_REDIS) from away
            else:
                if error:
                    raise RestartNotAllowed(error)
                if holder == self._name:
                    return
            await asyncio.sleep(POLL)
        minutes = f"{LOCK_WITHIN / 60:.0f} minutes"
        raise RestartNotAllowed(f"its turn did not come within {minutes}; the last to have it was {holder}")

    async def call_off(self, reason: str) -> None:
        """Keep other hosts from beginning; without Redis none can begin."""
        with contextlib.suppress(BusUnavailable, RedisError):
            async with bus_errors(self._redis, {self._called_off: "string"}):
                await self._redis.set(self._called_off, f"{self._host}: {reason}", px=int(REMEMBER * 1000))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(BusUnavailable, RedisError):
                await self._ask()

    async def _ask(self) -> tuple[str, str]:
        """Take or renew the lock; return its holder, and why the restart was called off, if it was."""
        async with bus_errors(self._redis, {self._called_off: "string"}):
            off = cast("bytes | None", await self._redis.get(self._called_off))
        if off is not None:
            return "", f"called off, as on {off.decode(errors='replace')}"
        return await acquire(self._redis, names.RESTARTING, self._name, LEASE), ""
