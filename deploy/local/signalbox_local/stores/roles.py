"""Roles of the services in the embedded PostgreSQL: the owner makes the tables, and none of them is the owner."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from signalbox.errors import SignalboxError
from signalbox.postgres.migrate import migrate_when_up
from signalbox.postgres.online import extension, migrate_online_when_up
from signalbox.postgres.pool import Database, open_database
from signalbox_api.auth import tables as accounts
from signalbox_local.errors import LocalError
from signalbox_reconciler.partitions.conversion import convert_when_alone
from signalbox_reconciler.service import MIGRATIONS, ONLINE_MIGRATIONS, ONLINE_SERVICE, SERVICE

#: As deploy/postgres/roles.sql calls them.
API, RECONCILER = "signalbox_api", "signalbox_reconciler"
_FILE = Path(__file__).resolve().parents[3] / "postgres" / "roles.sql"
#: Of the indexes for searches.
_EXTENSION = "pg_trgm"
#: Seconds for all of it: a record of an earlier release is read once.
_WITHIN = 600.0

_PASSWORD = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)"  # noqa: S105 - a statement


async def prepare(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Make the tables as their owner, then the roles of the services with these passwords.

    Raises:
        LocalError: it failed; the text says why.
    """
    try:
        async with asyncio.timeout(_WITHIN), open_database(owner_url, connections=2) as database:
            await _make_tables(database)
            async with database.transaction() as connection:
                await connection.execute(_FILE.read_text(encoding="utf-8"))
                for role, password in passwords.items():
                    await connection.execute(await connection.fetchval(_PASSWORD, role, password))
    except (SignalboxError, TimeoutError) as error:
        raise LocalError(f"the tables of the record could not be made: {error or 'it took too long'}") from error


async def _make_tables(database: Database) -> None:
    await migrate_when_up(database, SERVICE, MIGRATIONS, _WITHIN)
    await migrate_when_up(database, accounts.SERVICE, accounts.MIGRATIONS, _WITHIN)
    await convert_when_alone(database)
    await migrate_online_when_up(database, ONLINE_SERVICE, ONLINE_MIGRATIONS)
    async with database.connection() as connection:
        await extension(connection, _EXTENSION)
