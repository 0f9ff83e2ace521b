"""Connections to Redis that neither hang nor retry behind our back."""

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from signalbox.bus.malformed import WRONG_TYPE, put_aside_wrong_types
from signalbox.errors import BusMalformed, BusUnavailable

#: Seconds that one command may take, beyond what it was asked to block.
SOCKET_TIMEOUT = 5.0
CONNECT_TIMEOUT = 2.0

#: Errors of a Redis that is away, is full, or must not be written to; redis-py's own retries stay off, because
#: a repeated XADD or XREADGROUP is not the same as a single one.
UNAVAILABLE = (
    RedisConnectionError,
    RedisTimeoutError,
    OSError,
    OutOfMemoryError,
    ReadOnlyError,
    MasterDownError,
    ClusterDownError,
    TryAgainError,
)

#: Codes for which redis-py has no class: it cannot write to its disk, or to enough replicas.
_UNABLE = re.compile(r"\b(MISCONF|NOREPLICAS)\b")
_NO_TYPES: Mapping[str, str] = {}


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
        **_no_maintenance_notifications(),
    )
    pool.connection_class = _cancellable(pool.connection_class)
    # from_pool, not Redis(connection_pool=…): only then does aclose() end the connections, too.
    return Redis.from_pool(pool)


def _no_maintenance_notifications() -> dict[str, Any]:
    """With them, redis-py 8 hands out connections that a restarted Redis has closed, and each fails once."""
    if importlib.util.find_spec("redis.asyncio.maint_notifications") is None:
        return {}  # an older one, which has none
    from redis.maint_notifications import MaintNotificationsConfig

    return {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def _cancellable(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """A connection (plain, TLS or Unix) that can be cancelled at any moment.

    redis-py writes under `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that arrives as the
    write ends: a loop that should end then runs on, and the service does not stop.
    """

    class Cancellable(kind):  # type: ignore[misc, valid-type]
        socket_timeout: float | None

        async def send_packed_command(self, *args: object, **options: object) -> None:
            limit, self.socket_timeout = self.socket_timeout, None  # nothing to wait_for
            try:
                async with asyncio.timeout(limit):
                    await super().send_packed_command(*args, **options)
            finally:
                self.socket_timeout = limit

    return Cancellable


@asynccontextmanager
async def bus_errors(redis: Redis, types: Mapping[str, str] = _NO_TYPES) -> AsyncIterator[None]:
    """Turn the errors of an absent Redis into BusUnavailable.

    A key of another type than ours is put aside in `redis`; `types` are those of keys that are not always there.
    """
    try:
        yield
    except UNAVAILABLE as error:
        raise BusUnavailable(f"Redis does not answer: {error}") from error
    except ResponseError as error:
        if WRONG_TYPE in str(error):
            await put_aside_wrong_types(redis, types)
            raise BusMalformed(f"A key in Redis was put aside: {error}") from error
        if not _UNABLE.search(str(error)):
            raise
        raise BusUnavailable(f"Redis cannot do its work: {error}") from error
