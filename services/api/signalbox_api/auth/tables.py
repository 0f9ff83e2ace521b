"""Tables of users, sessions and tokens, brought up to date."""

import asyncio

from signalbox.postgres.migrate import migrate_when_up
from signalbox.postgres.pool import Database

#: The name under which the migrations are recorded, and the package that holds them.
SERVICE, MIGRATIONS = "api", "signalbox_api.migrations"


class Tables:
    """The tables in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self) -> None:
        """Bring them up to date as soon as PostgreSQL can be used; never returns.

        Raises:
            MigrationError: they cannot be brought up to date.
        """
        await migrate_when_up(self._database, SERVICE, MIGRATIONS)
        await asyncio.Event().wait()
