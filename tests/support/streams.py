"""Looking at Redis Streams from outside."""

from typing import cast

from redis.asyncio import Redis

from support.eventually import eventually


async def fields_on(redis: Redis, stream: str) -> list[dict[bytes, bytes]]:
    """The fields of every entry of a stream, in order."""
    rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(stream))
    return [fields for _, fields in rows]


async def somebody_waits(redis: Redis) -> None:
    """Return once a client waits in a blocking read."""

    async def look() -> bool:
        return int((await redis.info("clients"))["blocked_clients"]) > 0

    await eventually(look, "a blocked reader")
