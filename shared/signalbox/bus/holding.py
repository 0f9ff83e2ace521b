"""Holding a name in Redis for a while: at most one at a time, for as long as it says so again in time."""

from typing import cast

from redis.asyncio import Redis

from signalbox.bus.connection import speaking

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


async def hold(redis: Redis, key: str, name: str, seconds: float) -> str:
    """Take what `key` stands for, or keep it, for so long; answers who has it now: `name`, or whoever came first.

    Raises:
        BusUnavailable: Redis does not answer, and nobody knows.
    """
    async with speaking():
        holder = cast("bytes", await redis.eval(_TAKE, 1, key, name, int(seconds * 1000)))
    return holder.decode(errors="replace")


async def let_go(redis: Redis, key: str, name: str) -> None:
    """Give back what we have; what somebody else has stays theirs."""
    async with speaking():
        await redis.eval(_GIVE_BACK, 1, key, name)
