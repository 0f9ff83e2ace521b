"""Indexes of a record that is in use: made without holding up who writes, anew after a crash, once by many replicas."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import pytest

from signalbox.errors import MigrationError
from signalbox.postgres.migrate import migrate
from signalbox.postgres.online import migrate_online
from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.service import MIGRATIONS, SERVICE
from support.eventually import HANGS, eventually
from support.migration_folder import Folder, a_folder
from support.stores.server import Postgres

INDEX = "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_a ON one (a);\n"
WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock' AND datname = current_database()
"""
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with a_folder(tmp_path, monkeypatch) as folder:
        yield folder


@pytest.fixture
async def tables(database: Database) -> Database:
    """A database with a table of the test's own."""
    async with database.connection() as connection:
        await connection.execute("CREATE TABLE one (a integer); INSERT INTO one VALUES (1), (1)")
    return database


async def valid(connection: Connection, index: str) -> bool:
    return bool(await connection.fetchval(VALID, index))


async def test_who_writes_is_not_held_up_while_an_index_is_made(tables: Database, folder: Folder) -> None:
    folder.write("0001_index.sql", INDEX)
    async with tables.connection() as watcher, asyncio.timeout(HANGS):
        async with tables.transaction() as writer:
            await writer.execute("INSERT INTO one VALUES (2)")
            making = asyncio.create_task(migrate_online(tables, "x", folder.name))
            await eventually(lambda: watcher.fetchval(WAITS), "the index waits for the open transaction")
            await watcher.execute("INSERT INTO one VALUES (3)")
            assert not making.done()
        assert await making
        assert await valid(watcher, "by_a")


async def test_an_index_that_was_not_finished_is_made_anew(tables: Database, folder: Folder) -> None:
    async with tables.connection() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY by_a ON one (a)")
        assert not await valid(connection, "by_a")
        folder.write("0001_index.sql", INDEX)
        await migrate_online(tables, "x", folder.name)
        assert await valid(connection, "by_a")


async def test_of_replicas_that_start_at_once_one_makes_the_indexes(tables: Database, folder: Folder) -> None:
    folder.write("0001_index.sql", f"{INDEX}-- A second one.\n{INDEX.replace('by_a', 'also_by_a')}")
    async with asyncio.timeout(HANGS):
        done = await asyncio.gather(*(migrate_online(tables, "x", folder.name) for _ in range(4)))
    assert any(done)
    async with tables.connection() as connection:
        assert await valid(connection, "by_a")
        assert await valid(connection, "also_by_a")
        rows = await connection.fetch("SELECT name FROM signalbox_migrations WHERE service = 'x'")
        assert [row["name"] for row in rows] == ["index"]
        assert not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


async def test_a_statement_that_fails_is_named(tables: Database, folder: Folder) -> None:
    folder.write("0001_index.sql", INDEX.replace("(a)", "(b)"))
    with pytest.raises(MigrationError, match='x: migration 0001_index failed: column "b" does not exist'):
        await migrate_online(tables, "x", folder.name)


async def test_without_the_extension_that_it_needs_a_file_is_left_out_and_the_log_says_what_to_do(
    tables: Database, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("0001_index.sql", INDEX)
    folder.write("0002_more.sql", f"-- needs extension no_such\n{INDEX.replace('by_a', 'also_by_a')}")
    with caplog.at_level(logging.WARNING):
        assert await migrate_online(tables, "x", folder.name)
    assert "PostgreSQL has no extension no_such: install its contrib package" in caplog.text
    async with tables.connection() as connection:
        assert await valid(connection, "by_a")
        assert not await valid(connection, "also_by_a")


async def test_a_user_who_may_make_no_extension_is_told_what_the_owner_has_to_run(
    postgres_server: Postgres, empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    role = f"signalbox_test_{uuid4().hex[:12]}"
    async with open_database(empty_database_url) as database, database.connection() as owner:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; CREATE SCHEMA signalbox AUTHORIZATION {role}")
        name = await owner.fetchval("SELECT current_database()")
        url = f"postgresql://{role}:x@{postgres_server.url_of(name).rpartition('@')[2]}"
        try:
            async with open_database(url) as theirs:
                await migrate(theirs, SERVICE, MIGRATIONS)
                await convert(theirs)
                with caplog.at_level(logging.WARNING):
                    assert await complete_indexes(theirs)
                assert "permission denied to create extension" in caplog.text
                assert "Let the owner of the database run once `CREATE EXTENSION pg_trgm`" in caplog.text
                assert await valid(owner, "open_tasks_unfinished")
                await owner.execute("CREATE EXTENSION pg_trgm SCHEMA public")
                assert await complete_indexes(theirs)
            assert await valid(owner, "completed_tasks_2_arguments")
        finally:
            await owner.execute(
                f"DROP EXTENSION IF EXISTS pg_trgm CASCADE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
            )
