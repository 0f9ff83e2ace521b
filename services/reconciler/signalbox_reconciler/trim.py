"""Trim of the streams in Redis: removes only what every group has handled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from signalbox.bus.connection import bus_errors

#: Milliseconds after which a member that holds nothing and reads nothing is removed; a live one reads every second.
FORGET_AFTER_MS = 3_600_000


async def trim(redis: Redis, stream: str) -> int:
    """Remove the entries of `stream` that every group has handled; return how many."""
    async with bus_errors(redis), _ignoring_missing():
        groups = await redis.xinfo_groups(stream)
        if groups:
            kept_from = min([await _first_needed(redis, stream, group) for group in groups], key=_order)
            # In whole blocks, and without Redis' limit on the work: the rounds are frequent, and must keep up.
            return int(await redis.xtrim(stream, minid=kept_from, approximate=True, limit=0))
    return 0


async def forget_members(redis: Redis, stream: str, group: str) -> None:
    """Remove the members of a group that are long gone and hold nothing."""
    async with bus_errors(redis), _ignoring_missing():
        for member in await redis.xinfo_consumers(stream, group):
            if member["pending"] == 0 and member["idle"] > FORGET_AFTER_MS:
                await redis.xgroup_delconsumer(stream, group, member["name"])


@asynccontextmanager
async def _ignoring_missing() -> AsyncIterator[None]:
    """Ignore that the stream or its group is missing: not created yet, or Redis was emptied meanwhile."""
    try:
        yield
    except ResponseError as error:
        if not str(error).lower().startswith(("no such key", "nogroup")):
            raise


async def _first_needed(redis: Redis, stream: str, group: dict[str, bytes]) -> bytes:
    if group["pending"]:
        pending = await redis.xpending(stream, group["name"])
        if pending["min"]:
            return bytes(pending["min"])
    return group["last-delivered-id"]


def _order(position: bytes) -> tuple[int, int]:
    milliseconds, _, number = position.partition(b"-")
    return int(milliseconds), int(number or 0)
