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

from signalbox.bus import names
from signalbox_local.errors import LocalError
from signalbox_local.processes.waiting import until

#: Seconds that an external server may take to answer; it is expected to run already.
_TIMEOUT = 20.0
#: Seconds for one answer of it.
_PATIENCE = 5.0


#: What only a Signalbox makes.
_ITS_STREAMS = (names.COMMANDS, names.EVENTS)
_ITS_TABLE = "signalbox_migrations"


@dataclass(frozen=True)
class External:
    """A server that the local run neither starts nor stops."""

    name: str
    variable: str
    url: str
    #: Whether the server at this address accepts a connection.
    answers: Callable[[str], Awaitable[bool]]
    #: Whether a Signalbox has its data at this address.
    in_use: Callable[[str], Awaitable[bool]]

    async def start(self) -> None:
        """Make sure that it answers.

        Raises:
            LocalError: it does not; the text names the address, without the password.
        """
        if not await until(lambda: self.answers(self.url), time.monotonic() + _TIMEOUT):
            raise LocalError(
                f"{self.name} at {self._where} did not let us in within {_TIMEOUT:g} s; check {self.variable},"
                " or unset it to use an embedded server"
            )

    def url_as(self, _role: str) -> str:
        """The address for a service: the only one that we were given."""
        return self.url

    async def refuse_another(self) -> None:
        """Make sure that no other Signalbox has its data there, before a new data folder is used.

        Raises:
            LocalError: one has; a second reconciler would take its events, and its first user would be changed.
        """
        if await self.in_use(self.url):
            raise LocalError(
                f"{self.name} at {self._where} holds the data of another Signalbox, which would be changed: let"
                f" {self.variable} name another database, or SIGNALBOX_DATA the data folder of that one"
            )

    @property
    def _where(self) -> str:
        """Its address, without the password."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    async def stop(self) -> None:
        """Do nothing: it is external."""

    async def kill(self) -> None:
        """Do nothing: it is external."""


async def postgres_answers(url: str) -> bool:
    """Whether the PostgreSQL at `url` accepts a connection."""
    try:
        connection = await asyncpg.connect(url, timeout=_PATIENCE)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close(timeout=_PATIENCE)
    return True


async def postgres_in_use(url: str) -> bool:
    """Whether the database at `url` has the tables of a Signalbox, in whatever schema."""
    connection = await asyncpg.connect(url, timeout=_PATIENCE, command_timeout=_PATIENCE)
    try:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1)", _ITS_TABLE))
    finally:
        await connection.close(timeout=_PATIENCE)


async def redis_answers(url: str) -> bool:
    """Whether the Redis or Valkey at `url` answers a PING."""
    try:
        async with _redis(url) as client:
            return bool(await client.ping())
    except (RedisError, OSError):
        return False


async def redis_in_use(url: str) -> bool:
    """Whether the database at `url` has the streams of a Signalbox."""
    async with _redis(url) as client:
        return bool(await client.exists(*_ITS_STREAMS))


def _redis(url: str) -> Redis:
    once = Retry(NoBackoff(), 0)
    return Redis.from_url(url, socket_connect_timeout=_PATIENCE, socket_timeout=_PATIENCE, retry=once)
