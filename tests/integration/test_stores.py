"""The servers that tests and `make up` run on."""

import os

import amqp
import asyncpg  # type: ignore[import-untyped]
import psutil
import pytest
from redis.asyncio import Redis

from signalbox.postgres.pool import Database
from support.eventually import eventually
from support.stores import server
from support.stores.rabbit import RabbitMQ


async def test_each_test_has_a_migrated_database_of_its_own(database: Database) -> None:
    async with database.connection() as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'signalbox'")
        tasks = await connection.fetchval("SELECT count(*) FROM tasks")
    assert {"signalbox_migrations", "tasks", "task_logs", "processes", "hosts", "commands", "users"} <= {
        row["tablename"] for row in tables
    }
    assert tasks == 0


async def test_postgres_comes_back_at_the_same_address_with_what_was_committed(
    postgres_server: server.Postgres, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept (number int)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    await connection.close()
    for take_away in (postgres_server.stop, postgres_server.kill):
        try:
            await take_away()
        finally:
            await postgres_server.start()
        connection = await asyncpg.connect(database_url)
        assert await connection.fetchval("SELECT number FROM kept") == 7
        await connection.close()


async def test_valkey_comes_back_at_the_same_address_with_its_data(valkey: server.Redis) -> None:
    async with Redis.from_url(valkey.url) as client:
        assert await client.dbsize() == 0
        await client.xadd("stream", {"field": "value"})
    await valkey.stop()
    await valkey.start()
    async with Redis.from_url(valkey.url) as client:
        assert await client.xlen("stream") == 1


async def test_rabbitmq_comes_back_from_a_kill_at_the_same_address_with_its_durable_queues(rabbit: RabbitMQ) -> None:
    place, elsewhere = rabbit.next_place(), rabbit.next_place()
    with rabbit.connect(place) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True, auto_delete=False)
    assert await eventually(lambda: rabbit.has_on_disk("kept"), "the queue is on disk")
    await rabbit.kill()
    await rabbit.start()
    with rabbit.connect(place) as connection:
        connection.channel().queue_declare("kept", passive=True)
    with rabbit.connect(elsewhere) as connection, pytest.raises(amqp.NotFound):
        connection.channel().queue_declare("kept", passive=True)


@pytest.mark.usefixtures("rabbit")
async def test_rabbitmq_listens_to_this_machine_only() -> None:
    servers = [child for child in psutil.Process(os.getpid()).children() if child.name() in {"beam.smp", "epmd"}]
    heard = {one.laddr.ip for child in servers for one in child.net_connections("tcp") if one.status == "LISTEN"}
    assert len(servers) == 2
    assert heard <= {"127.0.0.1", "::1"}
