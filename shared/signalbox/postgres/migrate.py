"""Migrations: numbered files `NNNN_name.sql` in a package, forward only, each applied once.

All outstanding ones are applied in one transaction under an advisory lock, so that several replicas that start
at once are no problem, and a failure leaves nothing half done. All tables are in a schema of our own. Its table
`signalbox_migrations` remembers what was applied with its checksum: a file that was applied must not change any more.
"""

import hashlib
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from time import monotonic

import msgspec

from signalbox.errors import DatabaseUnavailable, MigrationError
from signalbox.postgres.own_schema import prepare_schema
from signalbox.postgres.pool import MISFITS, SCHEMA, Connection, Database, querying
from signalbox.service import Backoff

log = logging.getLogger(__name__)

#: Any number will do that no other application on the same database is likely to use.
LOCK = 0x5167_6E61_6C62_6F78
#: How long to wait for another replica that is migrating, and for tables that are in use.
LOCK_WAIT = "60s"
#: Seconds that one migration may take.
MIGRATION_TIMEOUT = 900.0

#: What to do where the role may not make a schema, as in most databases that an administrator has made, or where the
#: schema is that of another role, as each service may have its own.
_MAY_NOT = (
    f"; let the owner of the database run once: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the user of the address>; or,"
    f" where that schema is there already: GRANT ALL ON SCHEMA {SCHEMA} TO <the user of the address>;"
    f" GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO <the user of the address>"
)

#: What to do where a service has a role that owns no tables, as in deploy/postgres/roles.sql.
_NOT_OWNER = (
    "; let the owner of the tables run once, with the owner's address: signalbox setup; then deploy/postgres/roles.sql"
)

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file of SQL."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal; the same whatever line ends a checkout uses."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


def read_migrations(package: str) -> list[Migration]:
    """The migrations in a package, in their order.

    Raises:
        MigrationError: a number is missing or used twice, or a file is misnamed.
    """
    migrations = []
    for file in resources.files(package).iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"{package}: {file.name} must be named like 0001_what_it_does.sql")
        migrations.append(Migration(number=int(match[1]), name=match[2], sql=file.read_text(encoding="utf-8")))
    migrations.sort(key=lambda migration: migration.number)
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError(f"{package}: numbers must run from 0001 without a gap: {', '.join(map(str, migrations))}")
    return migrations


async def migrate(database: Database, service: str, package: str) -> list[Migration]:
    """Bring the tables of `service` up to date with the files in `package`; return the migrations that were applied.

    Raises:
        MigrationError: a file was changed after it had been applied, or its SQL failed; nothing was applied.
        DatabaseUnavailable: try again.
    """
    migrations = read_migrations(package)
    async with database.transaction() as connection:
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK, timeout=MIGRATION_TIMEOUT)
        with migrating(f"{service}: the schema {SCHEMA} cannot be prepared", _MAY_NOT):
            await prepare_schema(connection, service, [migration.sql for migration in migrations])
        outstanding = migrations[await count_applied(connection, service, migrations) :]
        for migration in outstanding:
            await _apply(connection, service, migration)
    return outstanding


async def migrate_when_up(database: Database, service: str, package: str, within: float = math.inf) -> None:
    """Bring the tables of `service` up to date as soon as PostgreSQL can be used.

    Raises:
        MigrationError: as above.
        DatabaseUnavailable: it cannot be used `within` so many seconds; the text says why.
    """
    backoff, logged, deadline = Backoff(0.1, 1.0), False, monotonic() + within
    while True:
        try:
            applied = await migrate(database, service, package)
        except DatabaseUnavailable as error:
            if monotonic() > deadline:
                raise
            if not logged:
                log.warning("waiting for PostgreSQL: %s", error)
            logged = True
            await backoff.pause()
        else:
            log.info("the tables are up to date; applied now: %s", ", ".join(map(str, applied)) or "nothing")
            return


async def count_applied(connection: Connection, service: str, migrations: list[Migration]) -> int:
    """Check that applied files are unchanged; return their number."""
    rows = await connection.fetch(
        "SELECT number, name, checksum FROM signalbox_migrations WHERE service = $1 ORDER BY number", service
    )
    for row, migration in zip(rows, migrations, strict=False):
        if row["checksum"] != migration.checksum:
            raise MigrationError(
                f"{service}: migration {migration} was changed after it had been applied to this database;"
                " restore the file and put the change into a new one"
            )
    if len(rows) > len(migrations):
        log.warning("the database has migrations of a newer release of %s: up to %s", service, rows[-1]["name"])
    return len(rows)


async def _apply(connection: Connection, service: str, migration: Migration) -> None:
    with migrating(f"{service}: migration {migration} failed", _NOT_OWNER):
        await connection.execute(migration.sql, timeout=MIGRATION_TIMEOUT)
        await note_applied(connection, service, migration)


async def note_applied(connection: Connection, service: str, migration: Migration) -> None:
    """Put a migration on the list of those that were applied."""
    await connection.execute(
        "INSERT INTO signalbox_migrations (service, number, name, checksum) VALUES ($1, $2, $3, $4)",
        *(service, migration.number, migration.name, migration.checksum),
    )


@contextmanager
def migrating(what: str, advice: str = "") -> Iterator[None]:
    """Turn what waiting does not heal into a MigrationError."""
    try:
        with querying():
            yield
    except MigrationError:
        raise
    except DatabaseUnavailable as error:
        if isinstance(error.__cause__, MISFITS):
            raise MigrationError(f"{what}: {error.__cause__}{advice}") from error
        raise
    except Exception as error:
        raise MigrationError(f"{what}: {error}") from error
