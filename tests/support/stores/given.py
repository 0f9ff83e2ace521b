"""Servers that the environment names; they are used as they are, and cannot be taken away."""

from typing import NoReturn
from urllib.parse import urlsplit

import pytest
import redis.asyncio

from signalbox_local.stores.external import (
    External,
    postgres_answers,
    postgres_in_use,
    redis_answers,
    redis_in_use,
)
from support.requirement import missing


class GivenPostgres(External):
    """The server of DATABASE_URL; its user must be allowed to create databases. What was there is not touched."""

    def __init__(self, url: str) -> None:
        super().__init__("PostgreSQL", "DATABASE_URL", url, postgres_answers, postgres_in_use)

    def url_of(self, database: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{database}").geturl()

    async def stop(self) -> None:
        _cannot("stop", self.variable)

    async def kill(self) -> None:
        _cannot("kill", self.variable)


class GivenRedis(External):
    """The server of REDIS_URL: its database and the two after it, which must be empty at the beginning."""

    def __init__(self, url: str) -> None:
        super().__init__("Redis", "REDIS_URL", url, redis_answers, redis_in_use)

    def url_of(self, database: int) -> str:
        parts = urlsplit(self.url)
        first = int(parts.path.strip("/") or 0)
        return parts._replace(path=f"/{first + database}").geturl()

    async def stop(self) -> None:
        _cannot("stop", self.variable)

    async def kill(self) -> None:
        _cannot("kill", self.variable)

    async def refuse_unless_empty(self) -> None:
        """Fail rather than mix with, or empty, what somebody keeps there."""
        for database in range(3):
            async with redis.asyncio.Redis.from_url(self.url_of(database)) as client:
                if await client.dbsize():
                    pytest.fail(f"REDIS_URL: database number {database} from the one it names there is not empty")

    async def empty(self) -> None:
        """Remove what a test wrote."""
        for database in range(3):
            async with redis.asyncio.Redis.from_url(self.url_of(database)) as client:
                await client.flushdb()


def _cannot(what: str, variable: str) -> NoReturn:
    missing(f"this test must {what} the server, and that of {variable} is not ours; unset {variable}")
