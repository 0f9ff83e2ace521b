"""Stores of one benchmark, embedded in a temporary folder, and services on them as they are deployed."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from redis.asyncio import Redis

from signalbox.bus.connection import connect
from signalbox.postgres.pool import SCHEMA, Database, open_database
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey

KEY = "a key for a benchmark, long enough to be one"
#: Seconds for a service to end.
_END = 20.0


@dataclass(frozen=True)
class Stores:
    """A running PostgreSQL and Redis."""

    redis_url: str
    database_url: str
    redis: Redis
    database: Database
    #: The environment of a service that uses them.
    environ: Mapping[str, str] = field(repr=False)

    async def empty(self) -> None:
        """Forget the record and all that is in Redis."""
        async with self.database.connection() as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        await self.redis.flushall()


@asynccontextmanager
async def a_bus_and_a_record() -> AsyncIterator[Stores]:
    """Empty stores, which are gone after the block."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="signalbox-bench-")))
        postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
        for store in (postgres, valkey):
            stack.push_async_callback(store.stop)
            await store.start()
        redis = await stack.enter_async_context(aclosing(connect(valkey.url)))
        database = await stack.enter_async_context(open_database(postgres.url))
        environ = os.environ | {
            "SIGNALBOX_REDIS_URL": valkey.url,
            "SIGNALBOX_DATABASE_URL": postgres.url,
            "SIGNALBOX_KEY": KEY,
            "SIGNALBOX_LOG_LEVEL": "warning",
        }
        yield Stores(valkey.url, postgres.url, redis, database, environ)


@asynccontextmanager
async def a_service(python: str, module: str, environ: Mapping[str, str]) -> AsyncIterator[psutil.Process]:
    """A service as it is deployed, run by this interpreter."""
    process = await asyncio.create_subprocess_exec(python, "-m", module, env=environ)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), _END)
