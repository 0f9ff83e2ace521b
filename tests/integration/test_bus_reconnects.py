"""A Redis that was restarted is used again at once, by every connection."""

import asyncio

from signalbox.bus.connection import connect
from support.stores.server import Redis


async def test_no_connection_that_a_restart_has_closed_is_used(valkey: Redis) -> None:
    redis = connect(valkey.url)
    try:
        for _ in range(2):
            waits = [redis.blpop(f"nothing:{number}", timeout=0.2) for number in range(4)]
            assert await asyncio.gather(*waits) == [None] * 4
            await valkey.stop()
            await valkey.start()
    finally:
        await redis.aclose()
