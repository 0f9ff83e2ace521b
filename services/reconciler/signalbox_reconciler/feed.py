"""Reading a stream into the record: write a batch, commit, and only then acknowledge and tell.

Whatever is away, nothing is acknowledged before its effect is durable, and nothing that is durable stays untold:
a batch that comes again is written again, which changes nothing, and told again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
from redis.asyncio import Redis

from signalbox.bus.consumer import MAX_DELIVERIES, Consumer, Entry
from signalbox.bus.publisher import publish_changes, queue_receipts
from signalbox.errors import BusUnavailable, DatabaseUnavailable, UnreadableMessage
from signalbox.messages.receipts import Receipt
from signalbox.messages.views import Change
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff

log = logging.getLogger(__name__)

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)

#: Milliseconds for one blocking read, so that a sibling's leftovers are looked for in between.
BLOCK_MS = 1000
#: Seconds between two looks for what dead siblings left.
CLAIM_EVERY = 1.0
#: Entries that nobody has touched for longer than this, in milliseconds, are taken over: a living reader handles a
#: batch in a fraction of it, and during an outage touches what it holds more often.
CLAIM_AFTER_MS = 3000
#: Seconds behind which a reader may be and still count as abreast of what is said.
ABREAST = 3.0
#: Seconds to the first and the longest pause when PostgreSQL or Redis is away: the record must be right within
#: five seconds of their return.
OUTAGE_PAUSE = (0.05, 1.0)
#: Seconds likewise between attempts at an entry that PostgreSQL will not take.
FAILURE_PAUSE = (0.02, 0.2)


class Told(msgspec.Struct, frozen=True):
    """What to publish once a batch is committed."""

    changes: Sequence[Change] = ()
    receipts: Sequence[Receipt] = ()


class Writer(Protocol[M_contra]):
    """Writes messages into the record."""

    async def __call__(self, connection: Connection, messages: Sequence[M_contra], *, again: bool) -> Told:
        """Write, inside the caller's transaction; with `again`, tell of all that the messages touch."""


class Feed(Generic[M]):
    """One stream, read by one member of a group, written by one writer."""

    def __init__(
        self,
        name: str,
        redis: Redis,
        consumer: Consumer,
        database: Database,
        decode: Callable[[Entry], M],
        write: Writer[M],
        *,
        batch: int,
    ) -> None:
        self._name = name
        self._redis = redis
        self._batch = batch
        self._consumer = consumer
        self._database = database
        self._decode = decode
        self._write = write
        self._claimed_at = 0.0
        self._trouble = ""
        #: Since when, by the monotonic clock, it reads what is said as soon as it is said; none while it does not.
        self.abreast_since: float | None = None

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = Backoff(*OUTAGE_PAUSE)
        while True:
            try:
                await self._step()
            except (BusUnavailable, DatabaseUnavailable) as error:
                self._ill(error)
                self._consumer.rewind()
                await backoff.pause()
            else:
                self._well()
                backoff.reset()

    async def _step(self) -> None:
        entries = await self._left_behind()
        if not entries:
            entries = await self._consumer.read(BLOCK_MS)
            self._note_lag(entries)
        entries = await self._without_gaps(entries)
        readable = [(entry, message) for entry in entries if (message := await self._readable(entry)) is not None]
        if readable:
            await self._handle(readable, again=self._consumer.again)

    def _note_lag(self, entries: list[Entry]) -> None:
        if len(entries) >= self._batch and _age(entries[-1]) > ABREAST:
            self.abreast_since = None
        elif self.abreast_since is None:
            self.abreast_since = time.monotonic()

    async def _left_behind(self) -> list[Entry]:
        now = time.monotonic()
        if now - self._claimed_at < CLAIM_EVERY:
            return []
        self._claimed_at = now
        return await self._consumer.claim()

    async def _without_gaps(self, entries: list[Entry]) -> list[Entry]:
        """Give up what Redis had to drop, because its bound was reached, before we could write it."""
        gone = [entry for entry in entries if not entry.data]
        if gone:
            log.error("%s: %d entries were dropped from the bus before they were recorded", self._name, len(gone))
            await self._consumer.acknowledge(gone)
        return [entry for entry in entries if entry.data]

    async def _readable(self, entry: Entry) -> M | None:
        try:
            return self._decode(entry)
        except UnreadableMessage as error:
            await self._bury(entry, f"unreadable: {error}")
            return None

    async def _handle(self, batch: Sequence[tuple[Entry, M]], *, again: bool) -> None:
        try:
            await self._commit(batch, again=again)
        except (BusUnavailable, DatabaseUnavailable):
            raise
        except Exception:
            log.exception("%s: a batch of %d cannot be written, trying one by one", self._name, len(batch))
            for entry, message in batch:
                await self._handle_alone(entry, message)

    async def _handle_alone(self, entry: Entry, message: M) -> None:
        backoff = Backoff(*FAILURE_PAUSE)
        for attempt in range(1, MAX_DELIVERIES + 1):
            try:
                return await self._commit([(entry, message)], again=True)
            except (BusUnavailable, DatabaseUnavailable):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the others must not wait for ever
                if attempt == MAX_DELIVERIES:
                    return await self._bury(entry, f"failed {attempt} times: {type(error).__name__}: {error}")
            await backoff.pause()
        return None

    async def _commit(self, batch: Sequence[tuple[Entry, M]], *, again: bool) -> None:
        async with self._database.transaction() as connection:
            told = await self._write(connection, [message for _, message in batch], again=again)
        # Not in the transaction of the acknowledgement: Redis would do nothing else until all of them are in.
        await publish_changes(self._redis, told.changes)
        await self._consumer.acknowledge(
            [entry for entry, _ in batch], lambda pipe: queue_receipts(pipe, told.receipts)
        )

    async def _bury(self, entry: Entry, reason: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self._name, entry.position.decode(), reason)
        await self._consumer.bury(entry, reason)

    def _ill(self, error: Exception) -> None:
        self.abreast_since = None
        if self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            log.warning("%s: waiting, nothing is lost: %s", self._name, error)

    def _well(self) -> None:
        if self._trouble:
            log.info("%s: going on", self._name)
        self._trouble = ""


def _age(entry: Entry) -> float:
    """Seconds; a position begins with the milliseconds at which Redis took the entry, by its own clock."""
    return time.time() - int(entry.position.split(b"-")[0]) / 1000
