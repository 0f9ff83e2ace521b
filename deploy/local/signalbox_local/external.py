"""Stores that somebody else runs: used when DATABASE_URL or REDIS_URL is set."""

import time
from abc import abstractmethod
from typing import ClassVar, Protocol
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from signalbox_local.errors import LocalError
from signalbox_local.waiting import until

#: Seconds that a server of somebody else's may take to answer; it is expected to run already.
_PATIENCE = 10.0


class Store(Protocol):
    """A server that keeps things: embedded, or somebody else's."""

    name: ClassVar[str]

    @property
    def url(self) -> str:
        """Where it is, with the password."""

    async def start(self) -> None:
        """Make sure that it answers."""

    async def stop(self) -> None:
        """Stop it, if it is ours."""

    async def kill(self) -> None:
        """End it at once, if it is ours."""


class External:
    """A server that we neither start nor stop."""

    name: ClassVar[str]
    variable: ClassVar[str]

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    async def start(self) -> None:
        """Make sure that it answers.

        Raises:
            LocalError: it does not; the text names the address, without the password.
        """
        if not await until(self.answers, time.monotonic() + _PATIENCE):
            parts = urlsplit(self._url)
            where = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
            raise LocalError(
                f"{self.name} at {where} did not let us in within {_PATIENCE:g} s; check {self.variable},"
                " or unset it to use an embedded server"
            )

    async def stop(self) -> None:
        """Nothing: it is not ours."""

    async def kill(self) -> None:
        """Nothing: it is not ours."""

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it lets us in."""


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
