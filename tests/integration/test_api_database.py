"""Questions to PostgreSQL: each has a deadline, and none waits while the server is known to be away."""

import asyncio

import pytest

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database
from signalbox_api.record.database import DatabaseHealth, QueryPool
from support.eventually import HANGS


async def test_nothing_is_asked_while_postgres_is_known_to_be_away(database: Database) -> None:
    health = DatabaseHealth(database)
    queries = QueryPool(database, health)
    asked: list[str] = []

    async def question(connection: Connection) -> int:
        asked.append("asked")
        return int(await connection.fetchval("SELECT 7"))

    assert await queries.ask(question) == 7
    health.lost(DatabaseUnavailable("somebody failed"))
    with pytest.raises(DatabaseUnavailable, match="somebody failed"):
        await queries.ask(question)
    assert asked == ["asked"]
    await health.look()
    assert await queries.ask(question) == 7


async def test_a_slow_question_is_given_up_and_holds_up_nobody_else(database: Database) -> None:
    health = DatabaseHealth(database)
    queries = QueryPool(database, health)
    with pytest.raises(DatabaseUnavailable, match=r"did not answer within 0\.1 s"):
        await queries.ask(lambda connection: connection.fetchval("SELECT pg_sleep(30)"), 0.1)
    assert health.up
    async with asyncio.timeout(HANGS):
        assert await queries.ask(lambda connection: connection.fetchval("SELECT 7")) == 7


async def test_work_that_is_given_up_leaves_nothing_behind(database: Database) -> None:
    queries = QueryPool(database, DatabaseHealth(database))

    async def work(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO users (name, password_hash, role, created_by) VALUES ('a', 'b', 'admin', 'c')"
        )
        await connection.execute("SELECT pg_sleep(30)")

    with pytest.raises(DatabaseUnavailable):
        await queries.change(work, 0.1)
    async with asyncio.timeout(HANGS):
        assert await queries.ask(lambda connection: connection.fetchval("SELECT count(*) FROM users")) == 0
