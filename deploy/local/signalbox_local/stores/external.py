"""External stores, used when DATABASE_URL or REDIS_URL is set."""

import time
from abc import abstractmethod
from typing import ClassVar
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


class External:
    """A server that the local run neither starts nor stops."""

    name: ClassVar[str]
    variable: ClassVar[str]

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        """Make sure that it answers.

        Raises:
            LocalError: it does not; the text names the address, without the password.
        """
        if not await until(self.answers, time.monotonic() + _TIMEOUT):
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

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it accepts a connection."""


class ExternalPostgres(External):
    """The PostgreSQL of DATABASE_URL."""

    name = "PostgreSQL"
    variable = "DATABASE_URL"

    async def answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=2.0)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


class ExternalRedis(External):
    """The Redis of REDIS_URL."""

    name = "Redis"
    variable = "REDIS_URL"

    async def answers(self) -> bool:
        return await redis_answers(self.url)


async def redis_answers(url: str) -> bool:
    """Whether the Redis or Valkey at `url` answers a PING within two seconds."""
    client = Redis.from_url(url, socket_connect_timeout=2.0, socket_timeout=2.0, retry=Retry(NoBackoff(), 0))
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()
