"""Which hosts have a controller that listens at this moment, without asking the record."""

from typing import cast

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking

#: Seconds after its last sign of life for which a controller counts as present.
PRESENCE_TTL = 6.0

#: One clock for all: the server's. A host whose own clock is wrong must not look absent.
_ANNOUNCE = """
local now = redis.call('TIME')
return redis.call('ZADD', KEYS[1], now[1] + now[2] / 1e6 + ARGV[2], ARGV[1])
"""
_PRESENT = """
local now = redis.call('TIME')
return redis.call('ZRANGEBYSCORE', KEYS[1], now[1] + now[2] / 1e6, '+inf')
"""


async def announce(redis: Redis, host: str, ttl: float = PRESENCE_TTL) -> None:
    """Say that the controller of `host` listens, and will for `ttl` seconds."""
    async with speaking():
        await redis.eval(_ANNOUNCE, 1, names.PRESENCE, host, ttl)


async def withdraw(redis: Redis, host: str) -> None:
    """Say that the controller of `host` no longer listens."""
    async with speaking():
        await redis.zrem(names.PRESENCE, host)


async def present(redis: Redis) -> frozenset[str]:
    """The hosts whose controllers listen."""
    async with speaking():
        hosts = cast("list[bytes]", await redis.eval(_PRESENT, 1, names.PRESENCE))
    return frozenset(host.decode() for host in hosts)
