"""Locks in Redis that expire: one holder of a key at a time, for as long as it renews the lock."""

from typing import cast

from redis.asyncio import Redis

from signalbox.bus.connection import bus_errors

_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
-- One without an expiry is none of ours, and would never be free.
if holder and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) > 0 then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


async def acquire(redis: Redis, key: str, holder: str, seconds: float) -> str:
    """Acquire or renew the lock for so many seconds; return who holds it now, `holder` or whoever came first.

    Raises:
        BusUnavailable: Redis does not answer, so nobody knows.
    """
    async with bus_errors(redis, {key: "string"}):
        present = cast("bytes", await redis.eval(_ACQUIRE, 1, key, holder, int(seconds * 1000)))
    return present.decode(errors="replace")


async def release(redis: Redis, key: str, holder: str) -> None:
    """Release the lock, unless somebody else holds it."""
    async with bus_errors(redis, {key: "string"}):
        await redis.eval(_RELEASE, 1, key, holder)
