"""External stores, used when DATABASE_URL or REDIS_URL is set."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from signalbox_local.errors import LocalError
from signalbox_local.processes.waiting import until

#: Seconds that an external server may take to answer; it is expected to run already.
_TIMEOUT = 10.0


@dataclass(frozen=True)
class External:
    """A server that the local run neither starts nor stops."""

    name: str
    variable: str
    url: str
    #: Whether the server at this address accepts a connection.
    answers: Callable[[str], Awaitable[bool]]

    async def start(self) -> None:
        """Make sure that it answers.

        Raises:
            LocalError: it does not; the text names the address, without the password.
        """
        if not await until(lambda: self.answers(self.url), time.monotonic() + _TIMEOUT):
            parts = urlsplit(self.url)
            where = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
            raise LocalError(
                f"{self.name} at {where} did not let us in within {_TIMEOUT:g} s; check {self.variable},"
                " or unset it to use an embedded server"
            )

    async def stop(self) -> None:
        """Do nothing: it is external."""

    async def kill(self) -> None:
        """Do nothing: it is external."""


async def postgres_answers(url: str) -> bool:
    """Whether the PostgreSQL at `url` accepts a connection within two seconds."""
    try:
        connection = await asyncpg.connect(url, timeout=2.0)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def redis_answers(url: str) -> bool:
    """Whether the Redis or Valkey at `url` answers a PING within two seconds."""
    client = Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()
