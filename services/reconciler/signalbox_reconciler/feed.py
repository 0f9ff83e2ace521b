"""A feed reads one stream into the record: it writes a batch, commits, then publishes and acknowledges.

Nothing is acknowledged before its effect is durable, and every durable change is published, also after an outage.
A redelivered batch is written again, which changes nothing, and published again.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from signalbox.bus import names
from signalbox.bus.confirmations import Confirmation, queue_confirmations
from signalbox.bus.consumer import MAX_DELIVERIES, Consumer, Entry
from signalbox.bus.publisher import AT_ONCE, publish_changes, queue_changes, queue_receipts
from signalbox.errors import BusUnavailable, DatabaseConflict, DatabaseUnavailable
from signalbox.messages.receipts import Receipt
from signalbox.messages.views import Change
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff
from signalbox_reconciler.reading import CLAIM_AFTER_MS, MAX_LAG, Batch, Reading

log = logging.getLogger(__name__)

M = TypeVar("M")

#: Seconds of the first and the longest pause while PostgreSQL or Redis is unavailable: the record must be right
#: within five seconds of their return.
OUTAGE_PAUSE = (0.05, 1.0)
#: Seconds of the first and the longest pause between attempts at an entry that PostgreSQL rejects.
FAILURE_PAUSE = (0.02, 0.2)


class Publication(msgspec.Struct, frozen=True):
    """Changes, receipts and confirmations to publish once a batch is committed."""

    changes: Sequence[Change] = ()
    receipts: Sequence[Receipt] = ()
    confirmations: Sequence[Confirmation] = ()
    #: Called once the batch is committed.
    committed: Callable[[], None] = lambda: None


class Feed(Generic[M]):
    """One stream, read by one member of a group.

    `write` writes messages inside the caller's transaction. If its third argument is true, they may have been written
    before, and all rows that they touch are published. `give_up` notes an entry that became a dead letter.
    """

    def __init__(
        self,
        stream: str,
        member: str,
        redis: Redis,
        database: Database,
        decode: Callable[[Entry], M],
        write: Callable[[Connection, Sequence[M], bool], Awaitable[Publication]],
        *,
        batch: int,
        give_up: Callable[[Connection, Entry], Awaitable[None]] | None = None,
        gather: Callable[[], float] = lambda: 0.0,
        may_wait: Callable[[M], bool] = lambda _message: False,
    ) -> None:
        """`gather` answers the seconds between two reads while less than a whole batch is there to be read.

        Messages that `may_wait` are written with the next ones that may not, or `WAIT` seconds after the first of them.
        """
        self._name = stream.rpartition(":")[2]
        self._redis = redis
        self._consumer = Consumer(
            redis, stream, names.RECONCILER_GROUP, member, batch=batch, claim_after_ms=CLAIM_AFTER_MS
        )
        self._reading = Reading(
            self._name, self._consumer, decode, self._dead_letter, batch=batch, gather=gather, may_wait=may_wait
        )
        self._database = database
        self._write = write
        self._give_up = give_up
        self._outage = ""
        #: Monotonic time since which messages are being written; None: none are.
        self._writing_since: float | None = None
        self._publishing: asyncio.Task[None] | None = None

    @property
    def read_at(self) -> float:
        """Monotonic time of the latest read that had entries."""
        return self._reading.read_at

    @property
    def caught_up_since(self) -> float | None:
        """Monotonic time since which entries are written as soon as they are published; None while it lags."""
        return None if self._writes_slowly() else self._reading.caught_up_since

    def _writes_slowly(self) -> bool:
        return self._writing_since is not None and time.monotonic() - self._writing_since > MAX_LAG

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = Backoff(*OUTAGE_PAUSE)
        try:
            while True:
                try:
                    await self._step()
                except (BusUnavailable, DatabaseUnavailable) as error:
                    if not isinstance(error, DatabaseConflict):  # after one we are as far as before
                        self._note_outage(error)
                    await self._give_back()
                    await backoff.pause()
                else:
                    self._note_recovery()
                    backoff.reset()
        finally:
            await self._reading.give_back()
            if self._publishing is not None:
                self._publishing.cancel()

    async def _step(self) -> None:
        if not self._reading.is_ahead:
            await self._published()
        batch = await self._reading.next()
        if batch.messages:
            with self._writing():
                if batch.is_full and not batch.redelivered:
                    self._reading.read_ahead()
                await self._handle(batch)

    async def _give_back(self) -> None:
        """Have all read again that was not published and acknowledged."""
        with suppress(BusUnavailable):
            await self._published()
        await self._reading.give_back()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """While entries are written, for however long, what is published meanwhile is not read."""
        self._writing_since = time.monotonic()
        try:
            yield
        finally:
            if self._writes_slowly():
                self._reading.caught_up_since = None
            self._writing_since = None

    async def _handle(self, batch: Batch[M]) -> None:
        try:
            await self._commit(batch.messages, redelivered=batch.redelivered)
        except (BusUnavailable, DatabaseUnavailable):
            raise
        except Exception:
            log.exception("%s: a batch of %d cannot be written, trying one by one", self._name, len(batch.messages))
            for entry, message in batch.messages:
                await self._handle_alone(entry, message)

    async def _handle_alone(self, entry: Entry, message: M) -> None:
        backoff = Backoff(*FAILURE_PAUSE)
        for attempt in range(1, MAX_DELIVERIES + 1):
            try:
                return await self._commit([(entry, message)], redelivered=True)
            except (BusUnavailable, DatabaseUnavailable):
                raise
            except Exception as error:  # noqa: BLE001 - one bad entry must not block the others
                if attempt == MAX_DELIVERIES:
                    return await self._dead_letter(entry, f"failed {attempt} times: {type(error).__name__}: {error}")
            await backoff.pause()
        return None

    async def _commit(self, batch: Sequence[tuple[Entry, M]], *, redelivered: bool) -> None:
        async with self._database.transaction() as connection:
            publication = await self._write(connection, [message for _, message in batch], redelivered)
        publication.committed()
        await self._published()
        publishing = self._publish(publication, [entry for entry, _ in batch])
        if self._reading.is_ahead:
            self._publishing = asyncio.ensure_future(publishing)
        else:
            await publishing

    async def _published(self) -> None:
        """Return when all that was written is published and acknowledged.

        Raises:
            BusUnavailable: it may not be.
        """
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            await publishing

    async def _publish(self, publication: Publication, entries: list[Entry]) -> None:
        changes = publication.changes
        if len(changes) > AT_ONCE:  # in one transaction they would block Redis until all are in
            await publish_changes(self._redis, changes)
            changes = ()

        def also(pipe: Pipeline) -> None:
            queue_changes(pipe, changes)
            queue_receipts(pipe, publication.receipts)
            queue_confirmations(pipe, publication.confirmations)

        await self._consumer.acknowledge(entries, also)

    async def _dead_letter(self, entry: Entry, reason: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self._name, entry.position.decode(), reason)
        await self._consumer.dead_letter(entry, reason)
        if self._give_up is not None:
            async with self._database.transaction() as connection:
                await self._give_up(connection, entry)

    def _note_outage(self, error: Exception) -> None:
        self._reading.caught_up_since = None
        if self._outage != type(error).__name__:
            self._outage = type(error).__name__
            log.warning("%s: waiting, nothing is lost: %s", self._name, error)

    def _note_recovery(self) -> None:
        if self._outage:
            log.info("%s: reading again", self._name)
        self._outage = ""


#: NUL in JSON; after a backslash that is escaped itself it is a text that looks like one.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(data: bytes) -> bytes:
    """JSON with NUL, which PostgreSQL cannot store, replaced by U+FFFD."""
    return _NUL.sub(rb"\1\\ufffd", data) if b"\\u0000" in data else data
