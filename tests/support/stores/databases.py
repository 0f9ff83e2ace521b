"""A fresh, migrated database for each test, made from a template in some ten milliseconds."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]

from signalbox.postgres.migrate import migrate
from signalbox.postgres.online import migrate_online
from signalbox.postgres.pool import SCHEMA, open_database
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.service import ONLINE_MIGRATIONS, ONLINE_SERVICE
from support.stores.server import Postgres

#: Who has tables: the service, and the package with its migrations, in the order that they may depend on each other.
MIGRATIONS = (("reconciler", "signalbox_reconciler.migrations"), ("api", "signalbox_api.migrations"))


@asynccontextmanager
async def a_database(server: Postgres, *, template: str = "template1") -> AsyncIterator[str]:
    """The name of a new database, gone afterwards with whoever is still connected to it."""
    name = f"signalbox_test_{uuid4().hex[:12]}"
    await _run(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    if template != "template1":  # settings of a database are not copied
        await _run(server, f'ALTER DATABASE "{name}" SET search_path = "$user", public, {SCHEMA}')
    try:
        yield name
    finally:
        await _run(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def migrate_all(url: str) -> None:
    """Make the tables of all services."""
    async with open_database(url, connections=1) as database:
        for service, package in MIGRATIONS:
            await migrate(database, service, package)
        await convert(database)
        assert await complete_indexes(database)
        assert await migrate_online(database, ONLINE_SERVICE, ONLINE_MIGRATIONS)


async def _run(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url, timeout=10.0)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
