"""Which hosts have a controller that listens at this moment, and which had one, without asking the record."""

from typing import cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking

#: Seconds between two heartbeats of a host.
HEARTBEAT = 2.0
#: Seconds after its last heartbeat for which a controller counts as present.
PRESENCE_TTL = 3 * HEARTBEAT
#: Seconds after the last heartbeat in the record at which the reconciler calls a host unknown: with a round of its
#: sweep less than ten seconds.
SILENCE = 4 * HEARTBEAT
#: Seconds after it at which the api does so by itself: the reconciler may be what is silent.
SILENCE_SHOWN = 5 * HEARTBEAT
#: Seconds for which a host is still known of which nothing is heard: a week.
KNOWN_FOR = 7 * 86400.0

#: One clock for all: the server's. A host whose own clock is wrong must not look absent.
_ANNOUNCE = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1e6
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at - ARGV[3])
return redis.call('ZADD', KEYS[1], at + ARGV[2], ARGV[1])
"""
_ROLL_CALL = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1e6
return {redis.call('ZRANGEBYSCORE', KEYS[1], at, '+inf'), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. at)}
"""


class RollCall(msgspec.Struct, frozen=True):
    """The hosts on which there is something to command."""

    #: Their controllers listen.
    present: frozenset[str]
    #: Nothing is heard of their controllers, and their processes may run on.
    away: frozenset[str]

    @property
    def known(self) -> frozenset[str]:
        """All of them."""
        return self.present | self.away


async def announce(redis: Redis, host: str, ttl: float = PRESENCE_TTL) -> None:
    """Say that the controller of `host` listens, and will for `ttl` seconds."""
    async with speaking():
        await redis.eval(_ANNOUNCE, 1, names.PRESENCE, host, ttl, KNOWN_FOR)


async def withdraw(redis: Redis, host: str, *, empty: bool) -> None:
    """Say that the controller of `host` no longer listens; with `empty`, that nothing of it runs there, either."""
    if not empty:
        return await announce(redis, host, ttl=0.0)
    async with speaking():
        await redis.zrem(names.PRESENCE, host)
    return None


async def roll_call(redis: Redis) -> RollCall:
    """The hosts that are known at this moment."""
    async with speaking():
        answer = cast("list[list[bytes]]", await redis.eval(_ROLL_CALL, 1, names.PRESENCE))
    return RollCall(*(frozenset(host.decode() for host in hosts) for hosts in answer))


async def present(redis: Redis) -> frozenset[str]:
    """The hosts whose controllers listen."""
    return (await roll_call(redis)).present
