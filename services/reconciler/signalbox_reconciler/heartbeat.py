"""Heartbeat of a reconciler in the record: that it is alive, and up to when the record is complete."""

import asyncio
import logging
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.progress import progress
from signalbox.errors import BusUnavailable, DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database

log = logging.getLogger(__name__)

#: Seconds between two heartbeats; the api calls a reconciler away after three of them.
EVERY = 1.0
#: Heartbeats between two deletions of old rows.
FORGET_EVERY = 3600
#: Seconds for which a reconciler that has ended keeps its row.
KEPT = 86400.0

#: A reconciler that is behind claims no less than it did.
_WRITE = """
INSERT INTO reconcilers AS r (member, complete_at) VALUES ($1, now() - make_interval(secs => $2))
ON CONFLICT (member) DO UPDATE SET
    seen_at = now(), complete_at = GREATEST(r.complete_at, EXCLUDED.complete_at)
"""
_FORGET = "DELETE FROM reconcilers WHERE seen_at < now() - make_interval(secs => $1)"


class Heartbeat:
    """Writes the heartbeat of the reconciler `member`."""

    def __init__(self, redis: Redis, database: Database, member: str) -> None:
        self._redis = redis
        self._database = database
        self._member = member
        self._written = 0

    async def run(self) -> None:
        """Write heartbeats until cancelled; the feeds log outages."""
        while True:
            try:
                await self.write()
            except DatabaseUnavailable as error:
                log.debug("no heartbeat was written: %s", error)
            await asyncio.sleep(EVERY)

    async def write(self) -> None:
        """Write one heartbeat.

        Raises:
            DatabaseUnavailable: it was not written.
        """
        measured_at = time.monotonic()
        behind = await self._behind()
        async with self._database.connection() as connection:
            if behind is not None:
                behind += time.monotonic() - measured_at
            await write_heartbeat(connection, self._member, behind)
            if self._written % FORGET_EVERY == 0:
                await forget_heartbeats(connection)
        self._written += 1

    async def _behind(self) -> float | None:
        """Seconds by which the record is behind the events; None: Redis does not say, and holds up no heartbeat."""
        try:
            async with asyncio.timeout(EVERY):
                return (await progress(self._redis, names.EVENTS, names.RECONCILER_GROUP)).behind
        except (BusUnavailable, RedisError, TimeoutError):
            return None


async def write_heartbeat(connection: Connection, member: str, behind: float | None) -> None:
    """Write that `member` is alive, and that the record lacks no event older than `behind` seconds (None: unknown)."""
    await connection.execute(_WRITE, member, behind)


async def forget_heartbeats(connection: Connection) -> None:
    """Delete the rows of reconcilers that ended long ago."""
    await connection.execute(_FORGET, KEPT)
