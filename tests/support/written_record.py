"""The record, written as intake, audit and sweep do, for tests that ask what it holds then."""

from collections.abc import Sequence
from typing import Any

from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import AnyEvent
from signalbox.messages.views import Change
from signalbox.postgres.pool import Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.store import ChangedViews, write_batch, write_commands
from signalbox_reconciler.store.checks import checks

Row = dict[str, Any]


class WrittenRecord:
    """In PostgreSQL, with the limits of a sweep."""

    def __init__(
        self,
        database: Database,
        *,
        lost_after: float = 300.0,
        forget_after: float = 86_400.0,
        remember_cancelled: float = 604_800.0,
    ) -> None:
        self.database = database
        self._checks = list(
            checks(lost_after=lost_after, forget_after=forget_after, remember_cancelled=remember_cancelled)
        )

    async def events(self, *events: AnyEvent, redelivered: bool = False) -> Sequence[Change]:
        """Take in a batch; what has changed by it."""
        async with self.database.transaction() as connection:
            return (await write_batch(connection, fold(events), redelivered=redelivered)).changes()

    async def commands(self, *commands: AnyCommand, redelivered: bool = False) -> Sequence[Change]:
        """Take in commands; what has changed by it."""
        async with self.database.transaction() as connection:
            trail = [audit(command) for command in commands]
            return (await write_commands(connection, trail, redelivered=redelivered)).changes()

    async def sweep(self) -> Sequence[Change]:
        """Take one round of looking at what no message says; what has changed by it."""
        seen = ChangedViews()
        for check in self._checks:
            async with self.database.transaction() as connection:
                await check(connection, seen)
        return seen.changes()

    async def run(self, statement: str, *arguments: object) -> None:
        """Change something behind its back."""
        async with self.database.connection() as connection:
            await connection.execute(statement, *arguments)

    async def rows(self, query: str) -> list[Row]:
        """What a query finds."""
        async with self.database.connection() as connection:
            return [dict(row) for row in await connection.fetch(query)]

    async def all(self, table: str) -> list[Row]:
        """All rows of a table."""
        return await self.rows(f"SELECT * FROM {table}")  # noqa: S608 - our own names

    async def one(self, table: str) -> Row:
        """The only row of a table."""
        [row] = await self.all(table)
        return row
