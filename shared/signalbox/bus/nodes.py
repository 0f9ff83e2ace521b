"""Which workers, by Celery's node names, have an agent: whoever watches the others has to leave them alone."""

from collections.abc import Collection
from typing import cast

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking

#: Seconds for which a worker counts as having one after it was last announced: longer than its last events travel.
NODE_TTL = 600.0

#: By the server's clock, as in `presence`.
_ANNOUNCE = """
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now[1] + ARGV[1], ARGV[i]) end
"""


async def announce_nodes(redis: Redis, nodes: Collection[str]) -> None:
    """Say that these workers have an agent, and will for a while."""
    async with speaking():
        await redis.eval(_ANNOUNCE, 1, names.NODES, int(NODE_TTL), *sorted(nodes))


async def nodes_with_agents(redis: Redis) -> set[str]:
    """The workers of the whole fleet that have an agent."""
    async with speaking():
        return {node.decode() for node in cast("list[bytes]", await redis.zrange(names.NODES, 0, -1))}
