"""Queries of PostgreSQL: each has a deadline, and none waits while the server is known to be away."""

import asyncio

import pytest

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_api.record.database import FALLBACK_WAIT, DatabaseHealth, QueryPool
from support.eventually import HANGS
from support.proxy import a_proxy


async def test_nothing_is_asked_while_postgres_is_known_to_be_away(database: Database) -> None:
    health = DatabaseHealth(database)
    queries = QueryPool(database, health)
    asked: list[str] = []

    async def question(connection: Connection) -> int:
        asked.append("asked")
        return int(await connection.fetchval("SELECT 7"))

    assert await queries.read(question) == 7
    health.failed(DatabaseUnavailable("somebody failed"))
    with pytest.raises(DatabaseUnavailable, match="somebody failed"):
        await queries.read(question)
    assert asked == ["asked"]
    await health.check()
    assert await queries.read(question) == 7


async def test_a_slow_question_is_given_up_and_holds_up_nobody_else(database: Database) -> None:
    health = DatabaseHealth(database)
    queries = QueryPool(database, health)
    with pytest.raises(DatabaseUnavailable, match=r"did not answer within 0\.1 s"):
        await queries.read(lambda connection: connection.fetchval("SELECT pg_sleep(30)"), 0.1)
    assert health.up
    async with asyncio.timeout(HANGS):
        assert await queries.read(lambda connection: connection.fetchval("SELECT 7")) == 7


async def test_work_that_is_given_up_leaves_nothing_behind(database: Database) -> None:
    queries = QueryPool(database, DatabaseHealth(database))

    async def work(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO users (name, password_hash, role, created_by) VALUES ('a', 'b', 'admin', 'c')"
        )
        await connection.execute("SELECT pg_sleep(30)")

    with pytest.raises(DatabaseUnavailable):
        await queries.write(work, 0.1)
    async with asyncio.timeout(HANGS):
        assert await queries.read(lambda connection: connection.fetchval("SELECT count(*) FROM users")) == 0


async def test_one_late_answer_fails_no_sign_in_and_holds_up_no_cancel(database_url: str) -> None:
    async with a_proxy(database_url) as proxy, open_database(proxy.url_of(database_url)) as database:
        health = DatabaseHealth(database)
        queries = QueryPool(database, health)
        asked: list[Connection] = []

        async def query(connection: Connection) -> int:
            asked.append(connection)
            return int(await connection.fetchval("SELECT 7"))

        await asyncio.gather(*(queries.read(query) for _ in range(3)))  # each by a connection of its own
        proxy.cut()
        checking = asyncio.create_task(health.check())
        await asyncio.sleep(0)
        asked.clear()
        for _ in range(2):  # the first one waits, and the second one need not
            with pytest.raises(DatabaseUnavailable, match="did not answer within 1 s"):
                await queries.read(query, FALLBACK_WAIT)
        assert (len(asked), health.up) == (1, True)
        signing_in = asyncio.create_task(queries.read(query))
        await asyncio.sleep(0)
        proxy.mend()
        assert await signing_in == 7
        await checking
        assert health.up
