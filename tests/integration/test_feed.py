"""A feed says since when it is caught up, by which silent hosts are told from those whose heartbeats wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Entry
from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_reconciler import feed as feeds
from signalbox_reconciler.feed import Feed, Publication
from support.eventually import HANGS, eventually
from support.stores.server import Redis

_LOCK, _LOCK_HERE = "SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_lock(1)"
_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def write(connection: Connection, _messages: Sequence[Entry], _redelivered: bool) -> Publication:
    """As any write may, it waits for what another transaction holds."""
    await connection.execute(_LOCK)
    return Publication()


@pytest.fixture
async def redis(valkey: Redis) -> AsyncIterator[Client]:
    client = connect(valkey.url)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def patient(database_url: str) -> AsyncIterator[Database]:
    """No statement in it runs out of time."""
    async with open_database(database_url, timeout=10 * HANGS) as pool:
        yield pool


@asynccontextmanager
async def running(feed: Feed[Entry]) -> AsyncIterator[None]:
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_feed_whose_write_waits_for_long_is_not_caught_up_until_it_has_read_again(
    redis: Client, patient: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MAX_LAG", 0.1)
    feed = Feed(names.EVENTS, "member", redis, patient, lambda entry: entry, write, batch=10)

    async def is_caught_up() -> bool:
        return feed.caught_up_since is not None

    async def lags() -> bool:
        return feed.caught_up_since is None

    async with running(feed), patient.connection() as other:
        await eventually(is_caught_up, "the feed has read to the end of its stream")
        await other.execute(_LOCK_HERE)
        await redis.xadd(names.EVENTS, {"data": "{}"})
        await eventually(lambda: other.fetchval(_WAITS), "its write waits")
        await eventually(lags, "it counts as lagging")
        released_at = time.monotonic()
        await other.execute("SELECT pg_advisory_unlock(1)")
        await eventually(is_caught_up, "it has read again")
        assert (feed.caught_up_since or 0.0) >= released_at
