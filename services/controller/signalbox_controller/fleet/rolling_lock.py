"""Whose turn it is: one host after the other restarts its processes, however many were told to, and by whomever.

A lease in Redis that is renewed while it is held. It orders restarts, it does not fence them: a controller that
stood still for longer than the lease lasts may find that another host has begun, and then waits for its next turn
before it touches another process.
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
from signalbox.bus.connection import speaking
from signalbox.bus.holding import hold, let_go
from signalbox.errors import BusUnavailable
from signalbox_controller.errors import NoTurn

log = logging.getLogger(__name__)

#: Seconds for which a turn lasts without a sign of its holder.
LEASE = 10.0
#: Seconds between two signs, and between two looks of those who wait.
RENEW, LOOK = 3.0, 0.25
#: Seconds that a host waits for its turn, and for Redis to come back.
PATIENCE, AWAY = 1800.0, 60.0
#: Seconds for which it is known that a restart was called off.
REMEMBER = 3600.0


class Turns:
    """The turns of this host."""

    def __init__(self, redis: Redis, host: str) -> None:
        self._redis = redis
        self._host = host

    @asynccontextmanager
    async def turn(self, command_id: str, *, alone: bool) -> AsyncIterator["Turn"]:
        """Wait for this host's turn in a command, and have it until the body ends.

        Args:
            command_id: the restart that several hosts take part in.
            alone: whether only this host takes part, so that it needs no Redis to go on.

        Raises:
            NoTurn: it did not come, or the restart was called off.
        """
        turn = Turn(self._redis, self._host, command_id, alone=alone)
        await turn.confirm()
        renewing = asyncio.create_task(turn.renew())
        try:
            yield turn
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await turn.give_back()


class Turn:
    """One host's part in one restart."""

    def __init__(self, redis: Redis, host: str, command_id: str, *, alone: bool) -> None:
        self._redis = redis
        self._host = host
        self._name = f"{command_id}@{host}"
        self._called_off = names.restart_called_off(command_id)
        self._alone = alone

    async def confirm(self) -> None:
        """Return when it is our turn (still, or again).

        Raises:
            NoTurn: it did not come in time, or the restart was called off.
        """
        loop = asyncio.get_running_loop()
        began = heard = loop.time()
        holder = "another host"
        while loop.time() < began + PATIENCE:
            try:
                holder, trouble = await self._ask()
                heard = loop.time()
            except (BusUnavailable, RedisError) as error:
                if self._alone:
                    return
                if loop.time() > heard + AWAY:
                    raise NoTurn("Redis is away, and without it nobody knows whose turn it is") from error
            else:
                if trouble:
                    raise NoTurn(trouble)
                if holder == self._name:
                    return
            await asyncio.sleep(LOOK)
        raise NoTurn(f"its turn did not come within {PATIENCE / 60:.0f} minutes; the last to have it was {holder}")

    async def call_off(self, trouble: str) -> None:
        """Let no other host begin; where Redis is away nobody can begin."""
        with contextlib.suppress(BusUnavailable, RedisError):
            async with speaking():
                await self._redis.set(self._called_off, f"{self._host}: {trouble}", px=int(REMEMBER * 1000))

    async def renew(self) -> None:
        """Keep the turn until cancelled."""
        while True:
            await asyncio.sleep(RENEW)
            with contextlib.suppress(BusUnavailable, RedisError):
                await self._ask()

    async def give_back(self) -> None:
        """Let the next host begin; where Redis is away the lease runs out."""
        with contextlib.suppress(BusUnavailable, RedisError):
            await let_go(self._redis, names.RESTARTING, self._name)

    async def _ask(self) -> tuple[str, str]:
        """Who has the turn, which is us where nobody had it; and why there is none any more."""
        async with speaking():
            off = cast("bytes | None", await self._redis.get(self._called_off))
        if off is not None:
            return "", f"called off, as on {off.decode(errors='replace')}"
        return await hold(self._redis, names.RESTARTING, self._name, LEASE), ""
