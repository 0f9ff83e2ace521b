"""Faults of PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg  # type: ignore[import-untyped]

from support.faults.processes import stopped_by_signal
from support.faults.repeating import repeating
from support.faults.site import Site, family

_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"


@asynccontextmanager
async def stopped(site: Site) -> AsyncIterator[None]:
    """It is stopped, and started again at the end."""
    await site.postgres.stop()
    try:
        yield
    finally:
        await site.postgres.start()


@asynccontextmanager
async def killed(site: Site) -> AsyncIterator[None]:
    """It is killed, and recovers at the end."""
    await site.postgres.kill()
    try:
        yield
    finally:
        await site.postgres.start()


@asynccontextmanager
async def frozen(site: Site) -> AsyncIterator[None]:
    """It takes connections, and answers nothing."""
    pid = site.postgres.child.pid
    assert pid is not None
    async with stopped_by_signal(*(proc.pid for proc in family(pid))):
        yield


async def terminate(site: Site) -> None:
    """Every connection to the record is closed."""
    await _execute(site, _TERMINATE, site.database)


terminated = repeating(terminate, 0.5)


@asynccontextmanager
async def read_only(site: Site) -> AsyncIterator[None]:
    """It answers, and refuses every write, as a standby does after a failover."""
    await _execute(site, f'ALTER DATABASE "{site.database}" SET default_transaction_read_only = on')
    await terminate(site)
    try:
        yield
    finally:
        await _execute(site, f'ALTER DATABASE "{site.database}" RESET default_transaction_read_only')
        await terminate(site)


@asynccontextmanager
async def locked(site: Site) -> AsyncIterator[None]:
    """Somebody holds a lock on the table of tasks, as a careless migration does."""
    connection = await asyncpg.connect(site.postgres.url_of(site.database), timeout=10.0)
    try:
        await connection.execute("BEGIN")
        await connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        yield
    finally:
        with suppress(asyncpg.PostgresError, OSError):
            await connection.close()


async def _execute(site: Site, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(site.postgres.url_of("postgres"), timeout=10.0)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()
