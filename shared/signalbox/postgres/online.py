"""Online migrations: indexes of tables that are in use, made without blocking who writes.

Files as those of `migrate`, in a package of their own, applied after it. PostgreSQL makes an index without blocking
only outside of a transaction, so each statement of a file runs by itself. A file that was interrupted is applied again:
each of its statements must be harmless when repeated (IF NOT EXISTS, IF EXISTS), and end with a semicolon at the end of
a line.

A file may begin with `-- needs extension NAME`. Where the extension cannot be had, the file is left out with a warning
that says what to do, and tried again at the next start.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Never

from signalbox.errors import DatabaseUnavailable, MigrationError
from signalbox.postgres.migrate import Migration, count_applied, migrating, note_applied, read_migrations
from signalbox.postgres.pool import SCHEMA, Connection, Database
from signalbox.service import Backoff

log = logging.getLogger(__name__)

#: Of the session, as there is no transaction. Another one than that of `migrate`: making an index waits for all
#: transactions that began before, so none may wait for us meanwhile.
LOCK = 0x5167_6E61_6C62_6F79
#: Seconds that one statement may take: an index of some hundred million rows.
STATEMENT_TIMEOUT = 6 * 3600.0
#: Memory for making one index; with the 64 MB of the server's default a trigram index takes twice as long.
_MEMORY = "256MB"

_STATEMENT = re.compile(r".+?;$", re.DOTALL | re.MULTILINE)
_EXTENSION = re.compile(r"-- needs extension (\w+)")

#: What an interrupted statement left: it is kept up to date, used by no query, and IF NOT EXISTS takes it for made.
_UNFINISHED = """
SELECT quote_ident(c.relname) AS name FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relnamespace = to_regnamespace($1)
"""
_EXTENSION_SCHEMA = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = $1"


async def migrate_online(database: Database, service: str, package: str) -> bool:
    """Apply the outstanding files of `package`; return False, at once, if another replica is doing so.

    Raises:
        MigrationError: a file was changed after it had been applied, or its SQL failed.
        DatabaseUnavailable: try again.
    """
    migrations = read_migrations(package)
    async with database.connection() as connection, alone(connection) as is_alone:
        if is_alone:
            await drop_unfinished(connection)
            for migration in migrations[await count_applied(connection, service, migrations) :]:
                if not await _apply(connection, service, migration):
                    break
    return is_alone


async def migrate_online_when_up(database: Database, service: str, package: str) -> None:
    """Apply the outstanding files as soon as PostgreSQL can be used and no other replica does so.

    Raises:
        MigrationError: as above.
    """
    backoff = Backoff(0.1, 5.0)
    while True:
        try:
            if await migrate_online(database, service, package):
                return
        except DatabaseUnavailable as error:
            log.info("the indexes are made later: %s", error)
        await backoff.pause()


async def keep_online(database: Database, service: str, package: str) -> Never:
    """The same beside a service that works without the indexes, only slower: what fails is logged."""
    try:
        await migrate_online_when_up(database, service, package)
    except MigrationError as error:
        log.error("%s; lists and searches are slow until this is mended and the reconciler restarted", error)  # noqa: TRY400
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@asynccontextmanager
async def alone(connection: Connection) -> AsyncIterator[bool]:
    """Hold the lock of online migrations, if it is free; give back the connection as it was."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        yield False
        return
    try:
        await connection.execute(f"SET maintenance_work_mem = '{_MEMORY}'")
        yield True
    finally:
        await connection.execute("RESET maintenance_work_mem; RESET search_path")
        await connection.fetchval("SELECT pg_advisory_unlock($1)", LOCK)


async def drop_unfinished(connection: Connection) -> None:
    """Drop the indexes that were not finished, so that they are made anew."""
    for row in await connection.fetch(_UNFINISHED, SCHEMA):
        log.warning("the index %s was not finished; it is made anew", row["name"])
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {row['name']}", timeout=STATEMENT_TIMEOUT)


async def _apply(connection: Connection, service: str, migration: Migration) -> bool:
    """Return False if it needs an extension that cannot be had."""
    needed = _EXTENSION.match(migration.sql)
    if needed and not await extension(connection, needed[1]):
        return False
    for statement in _STATEMENT.findall(migration.sql):
        with migrating(f"{service}: migration {migration} failed"):
            await connection.execute(statement, timeout=STATEMENT_TIMEOUT)
    await note_applied(connection, service, migration)
    log.info("applied the online migration %s of %s", migration, service)
    return True


async def schema_of_extension(connection: Connection, name: str) -> str | None:
    """The schema of an extension, ready to be put into a statement; none where it is not there."""
    schema = await connection.fetchval(_EXTENSION_SCHEMA, name)
    return None if schema is None else str(schema)


async def extension(connection: Connection, name: str) -> bool:
    """Find or make an extension, and put it on the search path of this connection."""
    schema = await schema_of_extension(connection, name)
    if schema is None:
        if problem := await _make_extension(connection, name):
            log.warning("%s", problem)
            return False
        schema = SCHEMA
    await connection.execute(f"SET search_path = {SCHEMA}, {schema}")
    return True


async def _make_extension(connection: Connection, name: str) -> str:
    """Return why it cannot be had and what to do, empty when it was made."""
    rest = "until then a search finds tasks by name and by the beginning of their id, not by error or arguments"
    if not await connection.fetchval("SELECT count(*) FROM pg_available_extensions WHERE name = $1", name):
        return (
            f"PostgreSQL has no extension {name}: install its contrib package on the server and restart the"
            f" reconciler; {rest}"
        )
    try:
        with migrating(name):
            await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {SCHEMA}")
    except MigrationError as error:
        return (
            f"The extension {name} cannot be made: {error.__cause__}. Let the owner of the database run once"
            f" `CREATE EXTENSION {name}`, and restart the reconciler; {rest}"
        )
    return ""
