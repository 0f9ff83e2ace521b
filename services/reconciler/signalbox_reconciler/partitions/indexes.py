"""Indexes of partitions: those of a new one are made with it, what is missing of others beside who writes."""

import asyncio
import logging
import re
from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple, Never

from signalbox.errors import DatabaseUnavailable, MigrationError
from signalbox.postgres.migrate import migrating
from signalbox.postgres.online import STATEMENT_TIMEOUT, alone, drop_unfinished, extension, schema_of_extension
from signalbox.postgres.pool import SCHEMA, Connection, Database
from signalbox.service import Backoff

log = logging.getLogger(__name__)

_PACKAGE = "signalbox_reconciler.indexes"
#: The extension that the indexes for searches need.
_FOR_SEARCH = "pg_trgm"
_STATEMENT = re.compile(r"^CREATE INDEX (\S+)\s+ON .+?;$", re.DOTALL | re.MULTILINE)

#: How a partition of finished tasks is called: status, table, number.
_FINISHED = re.compile(r"(?:completed|failed)_(\w+)_\d+")

_THERE = "SELECT to_regclass($1) IS NOT NULL"
_PARTITIONS = """
SELECT inhrelid::regclass::text AS leaf FROM pg_inherits
WHERE inhparent IN (to_regclass('tasks'), to_regclass('task_logs')) ORDER BY 1
"""


class Index(NamedTuple):
    """One index of one partition."""

    name: str
    sql: str

    def beside_writers(self) -> str:
        """The statement that holds up nobody; outside of a transaction."""
        return self.sql.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY IF NOT EXISTS", 1)


def indexes(leaf: str, *, for_search: bool) -> Iterator[Index]:
    """The indexes of a partition."""
    kind = _kind(leaf)
    file = resources.files(_PACKAGE) / f"{kind}{'_search' * for_search}.sql"
    if file.is_file():
        for found in _STATEMENT.finditer(file.read_text(encoding="utf-8")):
            yield Index(*(text.replace("{leaf}", leaf) for text in (found[1], found[0])))


def _kind(leaf: str) -> str:
    """The file of a partition."""
    finished = _FINISHED.fullmatch(leaf)
    return f"finished_{finished[1]}" if finished else leaf


async def make_indexes(connection: Connection, leaf: str) -> None:
    """Make the indexes of a new partition, inside the caller's transaction; those for searches where they can be."""
    for index in indexes(leaf, for_search=False):
        await connection.execute(index.sql)
    if schema := await schema_of_extension(connection, _FOR_SEARCH):
        await connection.execute(f"SET LOCAL search_path = {SCHEMA}, {schema}")
        for index in indexes(leaf, for_search=True):
            await connection.execute(index.sql)


async def complete_indexes(database: Database) -> bool:
    """Make what is missing, beside who writes; return False, at once, if another replica does so.

    Raises:
        DatabaseUnavailable: try again; what was made stays.
        MigrationError: one cannot be made.
    """
    async with database.connection() as connection, alone(connection) as is_alone:
        if not is_alone:
            return False
        await drop_unfinished(connection)
        partitions = [row["leaf"] for row in await connection.fetch(_PARTITIONS)]
        for leaf in partitions:
            await _complete(connection, leaf, for_search=False)
        if partitions and await extension(connection, _FOR_SEARCH):
            for leaf in partitions:
                await _complete(connection, leaf, for_search=True)
    return True


async def keep_complete(database: Database) -> Never:
    """The same beside a service that works without the indexes, only slower: what fails is logged."""
    try:
        await complete_when_up(database)
    except MigrationError as error:
        log.error("%s; lists and searches are slow until this is mended and the reconciler restarted", error)  # noqa: TRY400
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def complete_when_up(database: Database) -> None:
    """Make what is missing as soon as PostgreSQL can be used and no other replica does so.

    Raises:
        MigrationError: as above.
    """
    backoff = Backoff(0.1, 5.0)
    while True:
        try:
            if await complete_indexes(database):
                return
        except DatabaseUnavailable as error:
            log.info("the indexes are made later: %s", error)
        await backoff.pause()


async def _complete(connection: Connection, leaf: str, *, for_search: bool) -> None:
    for index in indexes(leaf, for_search=for_search):
        if not await connection.fetchval(_THERE, index.name):
            with migrating(f"the index {index.name} cannot be made"):
                await connection.execute(index.beside_writers(), timeout=STATEMENT_TIMEOUT)
