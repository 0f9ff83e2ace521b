"""Presence on the bus: the hosts whose controllers read commands, and the workers that have an agent.

Each is a sorted set, scored by the second of the epoch at which an entry runs out. The clock is the server's: a host
whose own clock is wrong must not look absent.
"""

from collections.abc import Collection
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import text

#: Seconds between two heartbeats of a host.
HEARTBEAT = 2.0
#: Seconds after its last heartbeat for which a controller counts as present.
PRESENCE_TTL = 3 * HEARTBEAT
#: Seconds after the last heartbeat in the record at which the reconciler calls a host unknown: with a round of its
#: sweep less than ten seconds.
SILENCE = 4 * HEARTBEAT
#: Seconds after it at which the api does so by itself: the reconciler may be what is silent.
SILENCE_SHOWN = 5 * HEARTBEAT
#: Seconds for which an absent host is still known: a week, unless the record keeps it known.
KNOWN_FOR = 7 * 86400.0
#: Seconds for which a worker counts as having an agent after its last announcement: longer than its events travel.
NODE_TTL = 600.0

_ANNOUNCE = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1e6
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at - ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], at + ARGV[3], '+inf')
redis.call('ZADD', KEYS[1], at + ARGV[2], ARGV[1])
return redis.call('ZCOUNT', KEYS[1], at, '+inf')
"""
_ROLL_CALL = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1e6
local until_most = at + ARGV[1]
return {
    redis.call('ZRANGEBYSCORE', KEYS[1], at, until_most), redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. at)
}
"""


_ANNOUNCE_NODES = """
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now[1] + ARGV[1] + 1, '+inf')
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now[1] + ARGV[1], ARGV[i]) end
"""


_AGES = """
local now = redis.call('TIME')
return {now[1], now[2], redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
"""


#: Half of the time in which an absent host is known is left to the next call.
_KEEP_KNOWN = """
local now = redis.call('TIME')
local oldest = now[1] + now[2] / 1e6 - ARGV[1] / 2
for i = 2, #ARGV do
    local until_at = redis.call('ZSCORE', KEYS[1], ARGV[i])
    if not until_at or tonumber(until_at) < oldest then redis.call('ZADD', KEYS[1], oldest, ARGV[i]) end
end
"""


#: The name of a group is made as `names.host_group` makes it. Answers those that are present, and are not forgotten.
_FORGET = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1e6
local present = {}
for _, host in ipairs(ARGV) do
    local until_at = redis.call('ZSCORE', KEYS[1], host)
    if until_at and tonumber(until_at) >= at then
        present[#present + 1] = host
    else
        redis.call('ZREM', KEYS[1], host)
        redis.pcall('XGROUP', 'DESTROY', KEYS[2], 'host:' .. host)
    end
end
return present
"""


class RollCall(msgspec.Struct, frozen=True):
    """The hosts that a command may reach."""

    #: Their controllers read commands.
    present: frozenset[str]
    #: Their controllers are silent, and their processes may run on.
    away: frozenset[str]

    @property
    def known(self) -> frozenset[str]:
        """All of them."""
        return self.present | self.away


async def announce(redis: Redis, host: str, ttl: float = PRESENCE_TTL) -> int:
    """Announce that the controller of `host` reads commands, for the next `ttl` seconds; return how many do so."""
    async with bus_errors(redis):
        return int(cast("int", await redis.eval(_ANNOUNCE, 1, names.PRESENCE, host, ttl, KNOWN_FOR)))


async def withdraw(redis: Redis, host: str, *, empty: bool) -> None:
    """Withdraw the presence of `host`; with `empty`, no process runs there either, and it is forgotten."""
    if not empty:
        await announce(redis, host, ttl=0.0)
        return
    async with bus_errors(redis):
        await redis.zrem(names.PRESENCE, host)


async def roll_call(redis: Redis) -> RollCall:
    """Read the presence of all known hosts."""
    async with bus_errors(redis):
        answer = cast("list[list[bytes]]", await redis.eval(_ROLL_CALL, 1, names.PRESENCE, KNOWN_FOR))
    return RollCall(*[frozenset(await _texts(redis, names.PRESENCE, hosts)) for hosts in answer])


async def forget(redis: Redis, hosts: Collection[str]) -> set[str]:
    """Forget hosts, and how far they have read the commands; return those that are present, which are not forgotten."""
    async with bus_errors(redis):
        answer = cast("list[bytes]", await redis.eval(_FORGET, 2, names.PRESENCE, names.COMMANDS, *hosts))
    return {host.decode() for host in answer}


async def keep_known(redis: Redis, hosts: Collection[str]) -> None:
    """Keep these absent hosts known, also where Redis has lost them: what is given to all is for them, too."""
    async with bus_errors(redis):
        await redis.eval(_KEEP_KNOWN, 1, names.PRESENCE, KNOWN_FOR, *hosts)


async def heartbeat_ages(redis: Redis) -> dict[str, float]:
    """Seconds since the last heartbeat of each known host, by the clock of Redis; one that left counts as older."""
    async with bus_errors(redis):
        seconds, microseconds, scores = cast("Any", await redis.eval(_AGES, 1, names.PRESENCE))
    now = int(seconds) + int(microseconds) / 1e6
    hosts = zip(map(text, scores[::2]), map(float, scores[1::2]), strict=True)
    known = {host: until for host, until in hosts if host is not None and until <= now + KNOWN_FOR}
    return {host: max(0.0, now - (until - PRESENCE_TTL)) for host, until in known.items()}


async def present(redis: Redis) -> frozenset[str]:
    """The hosts whose controllers read commands."""
    return (await roll_call(redis)).present


async def announce_nodes(redis: Redis, nodes: Collection[str], without: Collection[str] = ()) -> None:
    """Announce that these workers, by Celery's node names, have an agent, and that those `without` have none."""
    async with bus_errors(redis):
        await redis.eval(_ANNOUNCE_NODES, 1, names.NODES, int(NODE_TTL), *sorted(nodes))
        if without:
            await redis.zrem(names.NODES, *without)


async def nodes_with_agents(redis: Redis) -> set[str]:
    """The workers of the whole fleet that have an agent; a watch leaves them alone."""
    async with bus_errors(redis):
        nodes = cast("list[bytes]", await redis.zrange(names.NODES, 0, -1))
    return await _texts(redis, names.NODES, nodes)


async def _texts(redis: Redis, key: str, members: Collection[bytes]) -> set[str]:
    """The members of a set as text; one that is none is removed."""
    texts = {member: text(member) for member in members}
    if wrong := [member for member, found in texts.items() if found is None]:
        async with bus_errors(redis):
            await redis.zrem(key, *wrong)
    return {found for found in texts.values() if found is not None}
