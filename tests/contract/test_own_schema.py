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
    role = f"signalbox_test_{uuid4().hex[:12]}"
    async with looking(empty_database_url) as owner:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        try:
            name = await owner.fetchval("SELECT current_database()")
            where = postgres_server.url_of(name).rpartition("@")[2]
            url = f"postgresql://{role}:x@{where}"
            with pytest.raises(MigrationError, match=r"permission denied.*CREATE SCHEMA signalbox AUTHORIZATION"):
                await migrate_all(url)
            await owner.execute(f"CREATE SCHEMA signalbox AUTHORIZATION {role}")
            await migrate_all(url)
            await owner.execute(f"REVOKE CREATE ON SCHEMA signalbox FROM {role}")
            await migrate_all(url)  # what is up to date needs no right to make anything
        finally:
            await owner.execute("DROP SCHEMA IF EXISTS signalbox CASCADE")
            await owner.execute(f"DROP ROLE {role}")


async def test_a_service_with_a_user_of_its_own_is_told_what_it_lacks(
    postgres_server: Postgres, empty_database_url: str
) -> None:
    roles = [f"signalbox_test_{uuid4().hex[:12]}" for _ in MIGRATIONS]
    async with looking(empty_database_url) as owner:
        name = await owner.fetchval("SELECT current_database()")
        where = postgres_server.url_of(name).rpartition("@")[2]
        try:
            for role in roles:
                await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
            await owner.execute(f"CREATE SCHEMA signalbox AUTHORIZATION {roles[0]}")
            await migrated(f"postgresql://{roles[0]}:x@{where}", *MIGRATIONS[0])
            with pytest.raises(MigrationError, match="GRANT ALL ON SCHEMA signalbox TO") as refused:
                await migrated(f"postgresql://{roles[1]}:x@{where}", *MIGRATIONS[1])
            advice = str(refused.value).rpartition("already: ")[2]
            await owner.execute(advice.replace("<the user of the address>", roles[1]))
            await migrated(f"postgresql://{roles[1]}:x@{where}", *MIGRATIONS[1])
        finally:
            await owner.execute("DROP SCHEMA IF EXISTS signalbox CASCADE")
            for role in roles:
                await owner.execute(f"DROP ROLE IF EXISTS {role}")


async def migrated(url: str, service: str, package: str) -> None:
    async with open_database(url, connections=1, application="test") as database:
        await migrate(database, service, package)
