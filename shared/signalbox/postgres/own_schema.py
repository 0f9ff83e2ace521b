"""Schema of our own: made where it is missing, and given the tables that older releases made in another schema.

The old list of migrations stays where it was: a service of an older release that is started by mistake reads there that
all of its tables are made, finds none, and waits, instead of making empty ones and writing a second record.
"""

import re
from collections.abc import Iterable, Sequence

from signalbox.errors import MigrationError
from signalbox.postgres.pool import SCHEMA, Connection

_LIST = """
CREATE TABLE signalbox_migrations (
    service text NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, number)
)
"""
#: Schemas, ready to be put into a statement, that have a list of migrations which we may read.
_LISTS_ELSEWHERE = """
SELECT quote_ident(n.nspname) AS schema FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = 'signalbox_migrations' AND c.relkind = 'r' AND n.nspname <> $1
    AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname
"""
#: What makes the tables be found by whoever connects, last in the search path: for a database of ours alone, in which
#: nobody has set a search path yet.
_FINDABLE = """
SELECT format('ALTER DATABASE %I SET search_path = "$user", public, %I', d.datname, $1::text) FROM pg_database AS d
WHERE d.datname = current_database() AND pg_has_role(d.datdba, 'USAGE')
    AND NOT EXISTS (
        SELECT FROM pg_db_role_setting, unnest(setconfig) AS one
        WHERE setdatabase = d.oid AND setrole = 0 AND one LIKE 'search_path=%'
    )
    AND NOT EXISTS (
        SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname <> 'signalbox_migrations'
            AND n.nspname NOT IN ($1::text, 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    )
"""
_MADE = re.compile(r"^CREATE (TABLE|FUNCTION) (\w+)", re.MULTILINE)


async def prepare_schema(connection: Connection, service: str, scripts: Sequence[str]) -> None:
    """Make the schema and the list of migrations; move what older releases of `service` made elsewhere.

    `scripts` are the migrations of the service, in their order. What exists is left alone, so that a role that may make
    nothing can use tables that are up to date.

    Raises:
        MigrationError: several schemas hold tables of the service.
    """
    if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", SCHEMA):
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.signalbox_migrations"):
        await connection.execute(_LIST)
    if not await _applied(connection, SCHEMA, service):
        await _move(connection, service, scripts)
    if statement := await connection.fetchval(_FINDABLE, SCHEMA):
        await connection.execute(statement)


async def _move(connection: Connection, service: str, scripts: Sequence[str]) -> None:
    lists = [row["schema"] for row in await connection.fetch(_LISTS_ELSEWHERE, SCHEMA)]
    applied = {schema: await _applied(connection, schema, service) for schema in lists}
    found = [schema for schema, count in applied.items() if count]
    if len(found) > 1:
        raise MigrationError(
            f"{service}: the schemas {', '.join(found)} each hold tables of an older release, and only one of them can"
            f" become the schema {SCHEMA}: rename the table signalbox_migrations in those that are not to be used"
        )
    for schema in found:
        for kind, name in _made_by(scripts[: applied[schema]]):
            await connection.execute(
                f"ALTER TABLE IF EXISTS {schema}.{name} SET SCHEMA {SCHEMA}"
                if kind == "TABLE"
                else f"ALTER FUNCTION {schema}.{name} SET SCHEMA {SCHEMA}"
            )
        columns = "service, number, name, checksum, applied_at"
        await connection.execute(
            f"INSERT INTO signalbox_migrations ({columns})"  # noqa: S608 - quoted by PostgreSQL, or our own
            f" SELECT {columns} FROM {schema}.signalbox_migrations WHERE service = $1",
            service,
        )


async def _applied(connection: Connection, schema: str, service: str) -> int:
    """The number of migrations of a service in the list of a schema."""
    query = f"SELECT count(*) FROM {schema}.signalbox_migrations WHERE service = $1"  # noqa: S608 - as above
    return int(await connection.fetchval(query, service))


def _made_by(scripts: Iterable[str]) -> list[tuple[str, str]]:
    return [(kind, name) for script in scripts for kind, name in _MADE.findall(script)]
