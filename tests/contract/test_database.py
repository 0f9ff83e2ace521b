"""The pool on PostgreSQL: an absent server is one kind of error, never a wait without an end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from signalbox.errors import DatabaseUnavailable, SettingsError
from signalbox.postgres import pool
from signalbox.postgres.pool import Database, open_database
from support.eventually import HANGS, eventually
from support.stores.server import Postgres


async def one(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT 1"))


async def test_a_server_that_is_away_is_said_to_be_so_and_its_return_noticed(
    database: Database, postgres_server: Postgres
) -> None:
    assert await one(database) == 1
    await postgres_server.stop()
    try:
        with pytest.raises(DatabaseUnavailable, match="PostgreSQL cannot be used"):
            await one(database)
    finally:
        await postgres_server.start()
    assert await one(database) == 1


async def test_a_server_that_goes_away_in_the_middle_is_said_to_be_so(
    database: Database, postgres_server: Postgres
) -> None:
    async def wait_in_a_transaction() -> None:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(60)")

    waiting = [asyncio.create_task(wait_in_a_transaction()) for _ in range(3)]

    async def look() -> bool:
        async with database.connection() as connection:
            sleeping = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
            )
        return bool(sleeping == 3)

    await eventually(look, "three that sleep")
    await postgres_server.kill()
    try:
        outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), HANGS)
    finally:
        await postgres_server.start()
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
    assert await one(database) == 1


@pytest.fixture
async def mute_server() -> AsyncIterator[str]:
    """The address of a server that takes every connection and never says a word."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"postgresql://nobody@{host}:{port}/nothing"
    server.close()
    for writer in held:
        writer.close()


async def test_a_server_that_never_answers_is_given_up(mute_server: str) -> None:
    async with open_database(mute_server) as database:
        with pytest.raises(DatabaseUnavailable, match="did not answer in time"):
            await asyncio.wait_for(one(database), HANGS)


async def test_a_statement_that_takes_too_long_is_given_up(database_url: str) -> None:
    async with open_database(database_url, timeout=0.2) as database:
        with pytest.raises(DatabaseUnavailable, match="did not answer in time"):
            async with database.connection() as connection:
                await connection.execute("SELECT pg_sleep(60)")
        assert await one(database) == 1


async def test_who_finds_no_free_connection_does_not_wait_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(database_url, connections=1) as database, database.connection():
        monkeypatch.setattr(pool, "ACQUIRE_TIMEOUT", 0.2)
        with pytest.raises(DatabaseUnavailable, match="did not answer in time"):
            await one(database)


async def test_a_transaction_that_raises_leaves_nothing_behind(database: Database) -> None:
    async def leave_a_trace_and_fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE trace (a int)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave_a_trace_and_fail()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT to_regclass('trace')") is None


async def test_a_mistake_of_ours_does_not_look_like_an_outage(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(Exception, match="expects 1 argument") as caught:
            await connection.fetch("SELECT $1::int", 1, 2)
    assert not isinstance(caught.value, DatabaseUnavailable)


async def test_tables_that_are_not_there_yet_count_as_an_outage(empty_database_url: str) -> None:
    async with open_database(empty_database_url) as database:
        with pytest.raises(DatabaseUnavailable, match='relation "tasks" does not exist'):
            async with database.connection() as connection:
                await connection.fetch("SELECT * FROM tasks")


async def test_a_reader_cannot_write(database_url: str) -> None:
    async with open_database(database_url, read_only=True) as database:
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            async with database.connection() as connection:
                await connection.execute("DELETE FROM hosts")


async def test_an_address_that_makes_no_sense_is_refused_with_an_example() -> None:
    with pytest.raises(SettingsError, match="postgresql://user:password@host"):
        async with open_database("mysql://localhost"):
            pass
