"""What a test may ask of a store, wherever it comes from."""

from typing import Protocol


class Server(Protocol):
    """A PostgreSQL or Redis that can be taken away and brought back, with the same address and data."""

    @property
    def url(self) -> str:
        """The address of its first database, with the password."""

    async def start(self) -> None:
        """Start it and wait until it answers."""

    async def stop(self) -> None:
        """Take it away, cleanly; it keeps its data."""

    async def kill(self) -> None:
        """Take it away as a power failure would."""


class Postgres(Server, Protocol):
    """A PostgreSQL server."""

    def url_of(self, database: str) -> str:
        """The address of one of its databases."""


class Redis(Server, Protocol):
    """A Redis or Valkey server."""

    def url_of(self, database: int) -> str:
        """The address of one of its numbered databases, counted from the first that is ours."""
