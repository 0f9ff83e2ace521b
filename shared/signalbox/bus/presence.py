"""Which hosts have a controller that listens at this moment, without asking the record."""

import time
from typing import cast

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking

#: Seconds after its last sign of life for which a controller counts as present.
PRESENCE_TTL = 6.0


async def announce(redis: Redis, host: str) -> None:
    """Say that the controller of `host` listens."""
    async with speaking():
        await redis.zadd(names.PRESENCE, {host: time.time() + PRESENCE_TTL})


async def withdraw(redis: Redis, host: str) -> None:
    """Say that the controller of `host` no longer listens."""
    async with speaking():
        await redis.zrem(names.PRESENCE, host)


async def present(redis: Redis) -> frozenset[str]:
    """The hosts whose controllers listen."""
    async with speaking():
        hosts = cast("list[bytes]", await redis.zrangebyscore(names.PRESENCE, time.time(), "+inf"))
    return frozenset(host.decode() for host in hosts)
