"""A service must stop when it is told to, whatever it is saying to Redis at that moment."""

import asyncio

from signalbox.bus.connection import connect
from support.eventually import HANGS
from support.stores.server import Redis


async def test_a_loop_that_talks_to_redis_can_be_cancelled_at_any_moment(valkey: Redis) -> None:
    redis = connect(valkey.url)

    async def talk() -> None:
        while True:
            await redis.get("anything")

    try:
        for step in range(100):
            talking = asyncio.create_task(talk())
            await asyncio.sleep(step * 3e-5)
            talking.cancel()
            ended, _ = await asyncio.wait({talking}, timeout=HANGS)
            talking.cancel()
            assert ended, "the cancellation was swallowed"
    finally:
        await redis.aclose()
