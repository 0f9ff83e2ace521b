"""A feed reads ahead and loses nothing, and says since when it is caught up, by which hosts count as silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import Entry
from signalbox.messages.base import utc_now
from signalbox.messages.receipts import Recorded
from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_reconciler import feed as feeds
from signalbox_reconciler.feed import Feed, Publication
from support.eventually import HANGS, eventually
from support.stores.server import Redis

_LOCK, _LOCK_HERE = "SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_lock(1)"
_WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
_END_WHO_WAITS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
#: Waits where the first of these is held by another transaction.
_NOTE = "WITH lock AS (SELECT pg_advisory_xact_lock($1)) INSERT INTO noted (number) SELECT unnest($2::int[]) FROM lock"


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
async def running(feed: Feed[Any]) -> AsyncIterator[None]:
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


async def note(connection: Connection, numbers: Sequence[int], _redelivered: bool) -> Publication:
    """Write numbers to a table; publish one receipt for each."""
    await connection.execute(_NOTE, numbers[0], list(numbers))
    return Publication(receipts=[Recorded(command_id=f"c{number}", at=utc_now(), host="web") for number in numbers])


async def waiting_for(redis: Client, other: Connection, lock: int, database: Database) -> Feed[int]:
    """A feed of batches of two, whose write of the batch that begins with this number will wait for `other`."""
    await other.execute("CREATE TABLE noted (place serial, number int)")
    await other.execute(f"SELECT pg_advisory_lock({lock})")
    for number in range(1, 7):
        await redis.xadd(names.EVENTS, {"data": str(number)})
    return Feed(names.EVENTS, "member", redis, database, lambda entry: int(entry.data), note, batch=2)


async def pending(redis: Client) -> int:
    """How many entries are delivered, and not acknowledged."""
    groups = await redis.xinfo_groups(names.EVENTS)
    return int(groups[0]["pending"]) if groups else 0


async def noted(connection: Connection) -> list[int]:
    return [row["number"] for row in await connection.fetch("SELECT number FROM noted ORDER BY place")]


async def test_while_a_batch_is_written_the_next_is_read_and_the_last_published_and_none_acknowledged_too_early(
    redis: Client, patient: Database
) -> None:
    async with patient.connection() as other:
        feed = await waiting_for(redis, other, 3, patient)

        async def first_is_published_and_third_is_read() -> bool:
            return bool(await redis.exists(names.receipts("c1"))) and await pending(redis) == 4

        async def all_are_acknowledged() -> bool:
            return await pending(redis) == 0 and len(await noted(other)) == 6

        async with running(feed):
            await eventually(lambda: other.fetchval(_WAITS), "the second batch waits to be written")
            await eventually(first_is_published_and_third_is_read, "the others are read and published meanwhile")
            assert not await redis.exists(names.receipts("c3"))
            await other.execute("SELECT pg_advisory_unlock(3)")
            await eventually(all_are_acknowledged, "all are written and acknowledged")
        assert await noted(other) == [1, 2, 3, 4, 5, 6]


async def test_what_was_read_ahead_of_a_write_that_failed_is_written_after_it(redis: Client, patient: Database) -> None:
    async with patient.connection() as other:
        feed = await waiting_for(redis, other, 3, patient)

        async def third_is_read() -> bool:
            return await pending(redis) == 4

        async def all_are_noted() -> bool:
            return await pending(redis) == 0 and len(await noted(other)) == 6

        async with running(feed):
            await eventually(lambda: other.fetchval(_WAITS), "the second batch waits to be written")
            await eventually(third_is_read, "the third is read")
            await other.execute(_END_WHO_WAITS)
            await other.execute("SELECT pg_advisory_unlock(3)")
            await eventually(all_are_noted, "all are written and acknowledged")
        assert await noted(other) == [1, 2, 3, 4, 5, 6]
