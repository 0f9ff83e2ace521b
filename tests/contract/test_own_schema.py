"""Our tables are in a schema of our own: others' are never touched, and those of older releases are moved whole."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from signalbox.errors import MigrationError
from signalbox.postgres.migrate import migrate, read_migrations
from signalbox.postgres.pool import open_database
from support.stores.databases import MIGRATIONS, migrate_all
from support.stores.server import Postgres

#: As releases up to 0.1.0 made it.
OLD_LIST = """
CREATE TABLE IF NOT EXISTS signalbox_migrations (
    service text NOT NULL, number integer NOT NULL, name text NOT NULL, checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (service, number)
)
"""
#: The last migrations of those releases.
OLD = {"reconciler": 11, "api": 1}
THEIRS = ("tasks", "users", "commands", "hosts", "sessions")


@asynccontextmanager
async def looking(url: str, schema: str = "public") -> AsyncIterator[Any]:
    """A connection of somebody else, for whom the tables of `schema` are those that there are."""
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def a_role(server: Postgres, owner: Any) -> AsyncIterator[tuple[str, str]]:
    """A user that may do nothing yet in the database of the connection `owner`, and its address there."""
    role = f"signalbox_test_{uuid4().hex[:12]}"
    await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        where = server.url_of(await owner.fetchval("SELECT current_database()")).rpartition("@")[2]
        yield role, f"postgresql://{role}:x@{where}"
    finally:
        await owner.execute("DROP SCHEMA IF EXISTS signalbox CASCADE")
        await owner.execute(f"DROP ROLE {role}")


async def tables(connection: Any, schema: str) -> set[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return {row["tablename"] for row in rows}


async def make_older(connection: Any, services: Sequence[str] = ("reconciler", "api")) -> None:
    """Make the tables as an older release did, with something in them."""
    await connection.execute(OLD_LIST)
    for service, package in MIGRATIONS:
        if service not in services:
            continue
        for one in read_migrations(package)[: OLD[service]]:
            await connection.execute(one.sql)
            await connection.execute(
                "INSERT INTO signalbox_migrations (service, number, name, checksum) VALUES ($1, $2, $3, $4)",
                *(service, one.number, one.name, one.checksum),
            )
    if "api" in services:
        await connection.execute(
            "INSERT INTO users (name, password_hash, role, created_by) VALUES ('ada', 'x', 'admin', 'us')"
        )
        await connection.execute(
            "INSERT INTO sessions (session_id, user_id, digest, csrf, address, expires_at)"
            " SELECT 's1', user_id, 'd', 'c', '', now() + interval '1 day' FROM users"
        )
    await connection.execute("INSERT INTO hosts (name, state, seen_at, at) VALUES ('web-07', 'online', now(), now())")


async def test_nothing_of_ours_is_outside_our_schema(empty_database_url: str) -> None:
    await migrate_all(empty_database_url)
    async with looking(empty_database_url) as connection:
        assert await tables(connection, "public") == set()
        assert await tables(connection, "signalbox") >= {"tasks", "users", "signalbox_migrations"}
        assert not await connection.fetch("SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace")


async def test_tables_of_others_that_are_named_like_ours_are_left_alone(empty_database_url: str) -> None:
    async with looking(empty_database_url) as connection:
        for name in THEIRS:
            await connection.execute(f"CREATE TABLE {name} (kept text)")
            await connection.execute(f"INSERT INTO {name} VALUES ('theirs')")  # noqa: S608 - our own names
        await migrate_all(empty_database_url)
        for name in THEIRS:
            assert await connection.fetchval(f"SELECT kept FROM {name}") == "theirs"  # noqa: S608 - as above
        assert await tables(connection, "public") == set(THEIRS)


async def test_whoever_opens_a_database_of_ours_alone_finds_the_tables(
    postgres_server: Postgres, empty_database_url: str
) -> None:
    await migrate_all(empty_database_url)
    async with looking(empty_database_url) as owner, a_role(postgres_server, owner) as (role, url):
        await owner.execute(f"GRANT USAGE ON SCHEMA signalbox TO {role}")
        await owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA signalbox TO {role}")
        connection = await asyncpg.connect(url)
        try:
            assert await connection.fetchval("SELECT count(*) FROM tasks") == 0
        finally:
            await connection.close()


@pytest.mark.parametrize(
    "theirs", ["CREATE TABLE kept (kept text)", "ALTER DATABASE {database} SET search_path = theirs"]
)
async def test_the_search_path_of_a_database_that_others_use_is_left_alone(
    empty_database_url: str, theirs: str
) -> None:
    async with looking(empty_database_url) as connection:
        await connection.execute(theirs.format(database=await connection.fetchval("SELECT current_database()")))
    await migrate_all(empty_database_url)
    connection = await asyncpg.connect(empty_database_url)
    try:
        assert "signalbox" not in await connection.fetchval("SHOW search_path")
    finally:
        await connection.close()


@pytest.mark.parametrize("schema", ["public", "Old Tables"])
async def test_the_record_of_an_older_release_is_moved_whole(empty_database_url: str, schema: str) -> None:
    async with looking(empty_database_url, f'"{schema}"') as connection:
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await make_older(connection)
        before = await tables(connection, schema)
        await migrate_all(empty_database_url)
        assert await tables(connection, schema) == {"signalbox_migrations"}
        assert await tables(connection, "signalbox") >= before
    async with looking(empty_database_url, "signalbox") as connection:
        found = "SELECT users.name FROM sessions JOIN users USING (user_id)"
        assert await connection.fetchval(found) == "ada"
        assert await connection.fetchval("SELECT name FROM hosts") == "web-07"
        assert await connection.fetchval("SELECT run_order('1.2')") == [1, 2]
        add = "INSERT INTO users (name, password_hash, role, created_by) VALUES ('bob', 'x', 'viewer', 'ada')"
        assert await connection.fetchval(f"{add} RETURNING user_id") == 2  # it counts on
    async with open_database(empty_database_url) as database:
        for service, package in MIGRATIONS:
            assert await migrate(database, service, package) == []


async def test_an_older_service_that_is_started_afterwards_makes_no_second_record(empty_database_url: str) -> None:
    async with looking(empty_database_url) as connection:
        await make_older(connection)
        await migrate_all(empty_database_url)
        await connection.execute(OLD_LIST)  # as it does first
        query = "SELECT count(*) FROM signalbox_migrations WHERE service = $1"
        assert {service: await connection.fetchval(query, service) for service in OLD} == OLD


async def test_a_service_moves_nothing_that_it_has_not_made(empty_database_url: str) -> None:
    async with looking(empty_database_url) as connection:
        await make_older(connection, ["reconciler"])
        await connection.execute("CREATE TABLE users (kept text)")
        await connection.execute("INSERT INTO users VALUES ('theirs')")
        await migrate_all(empty_database_url)
        assert await connection.fetchval("SELECT kept FROM users") == "theirs"
        assert await tables(connection, "public") == {"signalbox_migrations", "users"}


async def test_two_older_records_are_not_mixed(empty_database_url: str) -> None:
    for schema in ("one", "two"):
        async with looking(empty_database_url, schema) as connection:
            await connection.execute(f"CREATE SCHEMA {schema}")
            await make_older(connection)
    with pytest.raises(MigrationError, match="the schemas one, two each hold tables"):
        await migrate_all(empty_database_url)
    async with looking(empty_database_url, "one") as connection:
        assert await connection.fetchval("SELECT name FROM hosts") == "web-07"


async def test_a_user_who_may_make_no_schema_is_told_what_the_owner_has_to_run(
    postgres_server: Postgres, empty_database_url: str
) -> None:
    async with looking(empty_database_url) as owner, a_role(postgres_server, owner) as (role, url):
        with pytest.raises(MigrationError, match=r"permission denied.*CREATE SCHEMA signalbox AUTHORIZATION"):
            await migrate_all(url)
        await owner.execute(f"CREATE SCHEMA signalbox AUTHORIZATION {role}")
        await migrate_all(url)
        await owner.execute(f"REVOKE CREATE ON SCHEMA signalbox FROM {role}")
        await migrate_all(url)  # what is up to date needs no right to make anything


async def test_a_service_with_a_user_of_its_own_is_told_what_it_lacks(
    postgres_server: Postgres, empty_database_url: str
) -> None:
    async with (
        looking(empty_database_url) as owner,
        a_role(postgres_server, owner) as (first, url),
        a_role(postgres_server, owner) as (second, url_of_second),
    ):
        await owner.execute(f"CREATE SCHEMA signalbox AUTHORIZATION {first}")
        await migrated(url, *MIGRATIONS[0])
        with pytest.raises(MigrationError, match="GRANT ALL ON SCHEMA signalbox TO") as refused:
            await migrated(url_of_second, *MIGRATIONS[1])
        advice = str(refused.value).rpartition("already: ")[2]
        await owner.execute(advice.replace("<the user of the address>", second))
        await migrated(url_of_second, *MIGRATIONS[1])


async def migrated(url: str, service: str, package: str) -> None:
    async with open_database(url, connections=1, application="test") as database:
        await migrate(database, service, package)
