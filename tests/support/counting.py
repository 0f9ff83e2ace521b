"""A connection that counts its round trips."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from signalbox.postgres.pool import Connection, Database, Row


class Counting:
    """A connection that counts its round trips."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.trips = 0

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """As the connection does."""
        self.trips += 1
        return await self._connection.execute(query, *args, timeout=timeout)

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> list[Row]:
        """As the connection does."""
        self.trips += 1
        return await self._connection.fetch(query, *args, timeout=timeout)

    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Row | None:
        """As the connection does."""
        self.trips += 1
        return await self._connection.fetchrow(query, *args, timeout=timeout)

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> Any:
        """As the connection does."""
        self.trips += 1
        return await self._connection.fetchval(query, *args, timeout=timeout)


@asynccontextmanager
async def counted(database: Database) -> AsyncIterator[Counting]:
    """A transaction that counts."""
    async with database.transaction() as connection:
        yield Counting(connection)
