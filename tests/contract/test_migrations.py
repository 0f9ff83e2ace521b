"""Migrations: forward only, applied once, by one at a time, and never changed afterwards."""

import asyncio
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from signalbox.errors import MigrationError
from signalbox.messages.views import CommandView, HostView, LogView, ProcessView, TaskView, View
from signalbox.postgres.migrate import migrate, read_migrations
from signalbox.postgres.pool import SCHEMA, Database, open_database
from support.migration_folder import Folder, a_folder
from support.stores.databases import MIGRATIONS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    with a_folder(tmp_path, monkeypatch) as folder:
        yield folder


async def tables(database: Database) -> set[str]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", SCHEMA)
    return {row["tablename"] for row in rows}


async def test_every_service_finds_its_tables_after_its_migrations(database: Database) -> None:
    assert await tables(database) >= {"tasks", "task_logs", "processes", "hosts", "commands", "users"}
    for service, package in MIGRATIONS:
        assert await migrate(database, service, package) == []


@pytest.mark.parametrize(
    ("table", "view"),
    [
        ("tasks", TaskView),
        ("task_logs", LogView),
        ("processes", ProcessView),
        ("hosts", HostView),
        ("commands", CommandView),
    ],
)
async def test_the_record_has_a_column_for_all_that_people_see(
    database: Database, table: str, view: type[View]
) -> None:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
    assert {row["column_name"] for row in rows} >= set(view.__struct_fields__)


async def test_what_is_new_is_applied_in_order_and_once(empty_database_url: str, folder: Folder) -> None:
    folder.write("0002_second.sql", "ALTER TABLE one ADD COLUMN b int;")
    folder.write("0001_first.sql", "CREATE TABLE one (a int); CREATE INDEX ON one (a);")
    async with open_database(empty_database_url) as database:
        assert [str(done) for done in await migrate(database, "x", folder.name)] == ["0001_first", "0002_second"]
        folder.write("0003_third.sql", "CREATE TABLE three (a int);")
        assert [str(done) for done in await migrate(database, "x", folder.name)] == ["0003_third"]
        assert await migrate(database, "x", folder.name) == []


async def test_replicas_that_start_at_once_apply_each_migration_once(empty_database_url: str, folder: Folder) -> None:
    folder.write("0001_first.sql", "CREATE TABLE one (a int);")
    async with open_database(empty_database_url) as database:
        applied = await asyncio.gather(*(migrate(database, "x", folder.name) for _ in range(6)))
    assert sorted(len(done) for done in applied) == [0, 0, 0, 0, 0, 1]


async def test_services_do_not_mix_up_their_numbers(empty_database_url: str, folder: Folder) -> None:
    folder.write("0001_first.sql", "CREATE TABLE IF NOT EXISTS one (a int);")
    async with open_database(empty_database_url) as database:
        assert len(await migrate(database, "x", folder.name)) == 1
        assert len(await migrate(database, "y", folder.name)) == 1


async def test_a_file_that_was_changed_after_it_was_applied_is_named(empty_database_url: str, folder: Folder) -> None:
    folder.write("0001_first.sql", "CREATE TABLE one (a int);")
    async with open_database(empty_database_url) as database:
        await migrate(database, "x", folder.name)
        folder.write("0001_first.sql", "CREATE TABLE one (a text);")
        with pytest.raises(MigrationError, match="0001_first was changed after it had been applied"):
            await migrate(database, "x", folder.name)


async def test_other_line_ends_are_no_change(empty_database_url: str, folder: Folder) -> None:
    folder.write("0001_first.sql", "CREATE TABLE one (\na int);\n")
    async with open_database(empty_database_url) as database:
        await migrate(database, "x", folder.name)
        (folder.path / "0001_first.sql").write_bytes(b"CREATE TABLE one (\r\na int);\r\n")
        assert await migrate(database, "x", folder.name) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("CREATE NONSENSE;", 'syntax error at or near "NONSENSE"'),
        ("ALTER TABLE three ADD COLUMN b int;", 'relation "three" does not exist'),
        ("INSERT INTO two VALUES ('x');", "invalid input syntax for type integer"),
    ],
)
async def test_a_migration_that_fails_leaves_nothing_behind_and_is_named(
    empty_database_url: str, folder: Folder, wrong: str, why: str
) -> None:
    folder.write("0001_first.sql", "CREATE TABLE one (a int);")
    folder.write("0002_second.sql", f"CREATE TABLE two (a int); {wrong}")
    async with open_database(empty_database_url) as database:
        with pytest.raises(MigrationError, match=f"x: migration 0002_second failed: {why}"):
            await migrate(database, "x", folder.name)
        assert await tables(database) == set()


async def test_an_older_release_works_with_the_tables_of_a_newer_one(empty_database_url: str, folder: Folder) -> None:
    folder.write("0001_first.sql", "CREATE TABLE one (a int);")
    folder.write("0002_second.sql", "CREATE TABLE two (a int);")
    async with open_database(empty_database_url) as database:
        await migrate(database, "x", folder.name)
        (folder.path / "0002_second.sql").unlink()
        assert await migrate(database, "x", folder.name) == []


@pytest.mark.parametrize("names", [("0001_a.sql", "0003_c.sql"), ("0001_a.sql", "0001_b.sql"), ("first.sql",)])
def test_files_without_a_clear_order_are_refused(folder: Folder, names: tuple[str, ...]) -> None:
    for name in names:
        folder.write(name, "SELECT 1;")
    with pytest.raises(MigrationError, match=folder.name):
        read_migrations(folder.name)


async def test_cancels_that_were_recorded_earlier_are_known_by_their_tasks(
    empty_database_url: str, folder: Folder
) -> None:
    files = sorted(resources.files("signalbox_reconciler.migrations").iterdir(), key=lambda file: file.name)
    scripts = {file.name: file.read_text(encoding="utf-8") for file in files if file.name.endswith(".sql")}
    for name in list(scripts)[:4]:
        folder.write(name, scripts.pop(name))
    async with open_database(empty_database_url) as database, database.connection() as connection:
        await migrate(database, "x", folder.name)
        for state, task_id in (("cancelled", "t1"), ("expired", "t2"), ("issued", "t3"), ("stopped", None)):
            await connection.execute(
                """
                INSERT INTO commands (command_id, state, task_id, command, target, issued_by, issued_from, reason,
                    detail, issued_at, expires_at, answer_by)
                VALUES ($1, $1, $2, '', '', '', '', '', '', now(), now(), now())
                """,
                state,
                task_id,
            )
        for name, text in scripts.items():
            folder.write(name, text)
        await migrate(database, "x", folder.name)
        cancels = await connection.fetch("SELECT command_id, task_id, state FROM cancels ORDER BY task_id")
        counts = await connection.fetch("SELECT command_id, tasks_total, tasks_done FROM commands ORDER BY command_id")
    assert [tuple(row.values()) for row in cancels] == [
        ("cancelled", "t1", "cancelled"),
        ("expired", "t2", "refused"),  # as hosts did with what came late
        ("issued", "t3", "issued"),
    ]
    assert [tuple(row.values()) for row in counts] == [
        ("cancelled", 1, 1),
        ("expired", 1, 1),
        ("issued", 1, 0),
        ("stopped", 0, 0),
    ]
