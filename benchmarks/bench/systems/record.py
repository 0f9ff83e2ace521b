"""Record with many rows behind an api, and nothing else of Signalbox: lists are timed over HTTP, as a browser asks."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.systems.waiting import PATIENCE, reach
from signalbox.postgres.pool import Connection, open_database
from signalbox_local.plan import LIMITS, Plan
from signalbox_local.ports import free_port
from signalbox_local.run import ADMIN, KEY
from signalbox_local.secret import secret
from signalbox_local.services import environment
from signalbox_local.services.readiness import first_user
from signalbox_local.services.service import Service
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey
from support.api import vouch_for_the_record
from support.filled_record import fill_record

#: Seconds that a statement may take while the record is made.
_FILL = 3600.0
#: Settings while the record is made; afterwards the server has its own again.
_IN_BULK = {"maintenance_work_mem": "1GB", "max_wal_size": "16GB", "autovacuum": "off"}

#: All load comes from this machine, with one token.
ONE_ADDRESS = dict.fromkeys(LIMITS, "2000")


@dataclass(frozen=True)
class Stores:
    """The stores behind the api."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    plan: Plan


@asynccontextmanager
async def stores(folder: Path) -> AsyncIterator[Stores]:
    """Empty ones in this folder; a record that is thrown away need not survive a power failure."""
    plan = Plan(data=folder / "data", port=free_port(), hostname="bench", limits=ONE_ADDRESS)
    found = Stores(EmbeddedPostgres(plan.data, durable=False), EmbeddedValkey(plan.data, durable=False), plan)
    try:
        await found.postgres.start()
        await found.valkey.start()
        yield found
    finally:
        await found.valkey.stop()
        await found.postgres.stop()


async def fill(postgres: EmbeddedPostgres, rows: int, say: Callable[[str], None]) -> None:
    """Make a record with so many tasks."""
    began = time.monotonic()
    async with open_database(postgres.url, connections=2, timeout=_FILL) as database:
        async with database.connection() as connection:
            for name, value in _IN_BULK.items():
                await connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            await _reload(connection)
        await fill_record(database, rows)
        async with database.connection() as connection:
            for name in _IN_BULK:
                await connection.execute(f"ALTER SYSTEM RESET {name}")
            await _reload(connection)
            await connection.execute("CHECKPOINT")  # nothing of it must be written while lists are timed
    say(f"{rows:,} tasks, made in {time.monotonic() - began:.0f} s")


async def _reload(connection: Connection) -> None:
    await connection.execute("SELECT pg_reload_conf()")


@asynccontextmanager
async def an_api(found: Stores) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """The api as a process, on these stores; a client that shows the token of their first user, and that token."""
    base = environment.common(found.plan, redis_url=found.valkey.url, key=secret(found.plan.data, KEY))
    environ = environment.for_api(base, found.postgres.url, found.plan)
    token = await first_user(ADMIN, secret(found.plan.data, ADMIN), environ)
    await vouch_for_the_record(found.postgres.url)
    service = Service("api", found.plan.data, environ)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=found.plan.url, headers=headers, timeout=PATIENCE, trust_env=False) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/scheduler/tasks/")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        try:
            service.start()
            await reach("the api answers", answers, pause=0.1)
            yield client, token
        finally:
            await service.stop()
