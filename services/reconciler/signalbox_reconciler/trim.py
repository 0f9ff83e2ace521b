"""Keeping Redis small: what every group has handled may go, and nothing else."""

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from signalbox.bus.connection import speaking

#: Milliseconds after which a member of a group that holds nothing and reads nothing is forgotten; one that lives
#: reads every second.
FORGET_AFTER_MS = 3_600_000


async def trim(redis: Redis, stream: str) -> int:
    """Remove the entries of `stream` that lie behind every group; answer how many."""
    async with speaking():
        groups = await _groups(redis, stream)
        if not groups:
            return 0
        kept_from = min([await _first_needed(redis, stream, group) for group in groups], key=_order)
        # In whole blocks, and without Redis' limit on the work: it is not much, and we must keep up.
        return int(await redis.xtrim(stream, minid=kept_from, approximate=True, limit=0))


async def forget_members(redis: Redis, stream: str, group: str) -> None:
    """Remove the members of a group that are long gone and hold nothing."""
    async with speaking():
        try:
            members = await redis.xinfo_consumers(stream, group)
        except ResponseError:
            return
        for member in members:
            if member["pending"] == 0 and member["idle"] > FORGET_AFTER_MS:
                await redis.xgroup_delconsumer(stream, group, member["name"])


async def _groups(redis: Redis, stream: str) -> list[dict[str, bytes]]:
    try:
        return list(await redis.xinfo_groups(stream))
    except ResponseError:
        return []  # there is no such stream (yet, or any more)


async def _first_needed(redis: Redis, stream: str, group: dict[str, bytes]) -> bytes:
    if group["pending"]:
        pending = await redis.xpending(stream, group["name"])
        if pending["min"]:
            return bytes(pending["min"])
    return group["last-delivered-id"]


def _order(position: bytes) -> tuple[int, int]:
    milliseconds, _, number = position.partition(b"-")
    return int(milliseconds), int(number or 0)
