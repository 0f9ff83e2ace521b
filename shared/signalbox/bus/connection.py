"""Connections to Redis that neither hang nor retry behind our back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from signalbox.errors import BusUnavailable

#: Seconds that one command may take, beyond what it was asked to block.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 2.0

#: What a Redis that is away raises; redis-py's own retries stay off, because a repeated XADD or
#: XREADGROUP is not the same as a single one.
UNAVAILABLE = (RedisConnectionError, RedisTimeoutError, OSError)


def connect(url: str, *, connections: int = 32, timeout: float = SOCKET_TIMEOUT) -> Redis:
    """A client with a bounded pool; every call raises within `timeout` seconds.

    A blocking read must ask for less than `timeout`, or it looks like a dead server.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=CONNECT_TIMEOUT,
        socket_timeout=timeout,
        socket_connect_timeout=CONNECT_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    # from_pool, not Redis(connection_pool=…): only then does aclose() end the connections, too.
    return Redis.from_pool(pool)


@asynccontextmanager
async def speaking() -> AsyncIterator[None]:
    """Turn whatever an absent Redis raises into BusUnavailable."""
    try:
        yield
    except UNAVAILABLE as error:
        raise BusUnavailable(f"Redis does not answer: {error}") from error
