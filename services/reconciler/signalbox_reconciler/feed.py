"""A feed reads one stream into the record: it writes a batch, commits, then publishes and acknowledges.

Nothing is acknowledged before its effect is durable, and every durable change is published, also after an outage.
A redelivered batch is written again, which changes nothing, and published again.
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from signalbox.bus import names
from signalbox.bus.confirmations import Confirmation, queue_confirmations
from signalbox.bus.consumer import MAX_DELIVERIES, Consumer, Entry
from signalbox.bus.publisher import AT_ONCE, publish_changes, queue_changes, queue_receipts
from signalbox.errors import BusUnavailable, DatabaseConflict, DatabaseUnavailable, UnreadableMessage
from signalbox.messages.receipts import Receipt
from signalbox.messages.views import Change
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff

log = logging.getLogger(__name__)

M = TypeVar("M")

#: Milliseconds for one blocking read; abandoned entries of other members are claimed between reads.
BLOCK_MS = 1000
#: Seconds between two claims of entries that dead members hold.
CLAIM_EVERY = 1.0
#: Milliseconds after which an idle entry is claimed from its member. A live member handles a batch in a fraction of
#: this, and touches its entries more often during an outage.
CLAIM_AFTER_MS = 3000
#: Seconds for which messages that may wait are gathered: much less than a host may be silent.
WAIT = 0.5
#: How many times longer a read waits for more when all of the last one may wait.
PATIENCE = 3
#: Seconds of lag up to which a feed counts as caught up.
MAX_LAG = 3.0
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
        self._batch = batch
        self._consumer = Consumer(
            redis, stream, names.RECONCILER_GROUP, member, batch=batch, claim_after_ms=CLAIM_AFTER_MS
        )
        self._database = database
        self._decode = decode
        self._write = write
        self._give_up = give_up
        self._gather = gather
        self._may_wait = may_wait
        #: What waits, in the order of the stream, and the monotonic time at which it is written.
        self._waiting: list[tuple[Entry, M]] = []
        self._write_at = math.inf
        self._may_read_at = 0.0
        #: Monotonic time of the latest read that had entries.
        self.read_at = -math.inf
        self._claimed_at = 0.0
        self._outage = ""
        self._caught_up_since: float | None = None
        #: Monotonic time since which the entries of the last read are being written; None: none are.
        self._writing_since: float | None = None

    @property
    def caught_up_since(self) -> float | None:
        """Monotonic time since which entries are written as soon as they are published; None while it lags."""
        return None if self._writes_slowly() else self._caught_up_since

    def _writes_slowly(self) -> bool:
        return self._writing_since is not None and time.monotonic() - self._writing_since > MAX_LAG

    async def run(self) -> None:
        """Read until cancelled."""
        backoff = Backoff(*OUTAGE_PAUSE)
        while True:
            try:
                await self._step()
            except (BusUnavailable, DatabaseUnavailable) as error:
                if not isinstance(error, DatabaseConflict):  # after one we are as far as before
                    self._note_outage(error)
                self._consumer.rewind()
                self._take_waiting()  # they are read again
                await backoff.pause()
            else:
                self._note_recovery()
                backoff.reset()

    async def _step(self) -> None:
        entries = await self._claim_abandoned()
        if not entries:
            await asyncio.sleep(max(0.0, self._may_read_at - time.monotonic()))
            entries = await self._consumer.read(self._block_ms())
            self._note_read(entries)
        with self._writing():
            redelivered = self._consumer.redelivered
            entries = await self._without_gaps(entries)
            readable = [(entry, message) for entry in entries if (message := await self._readable(entry)) is not None]
            if self._complete_batch(readable, redelivered=redelivered):
                await self._handle(self._take_waiting(), redelivered=redelivered)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """While entries are written, for however long, what is published meanwhile is not read."""
        self._writing_since = time.monotonic()
        try:
            yield
        finally:
            if self._writes_slowly():
                self._caught_up_since = None
            self._writing_since = None

    def _block_ms(self) -> int:
        return (
            min(BLOCK_MS, max(1, math.ceil((self._write_at - time.monotonic()) * 1000))) if self._waiting else BLOCK_MS
        )

    def _complete_batch(self, readable: Sequence[tuple[Entry, M]], *, redelivered: bool) -> bool:
        """Add messages to those that wait; return whether these are to be written now."""
        now = time.monotonic()
        if readable and not self._waiting:
            self._write_at = now + WAIT
        self._waiting += readable
        pressing = redelivered or not all(self._may_wait(message) for _, message in readable)
        if not pressing and self._may_read_at > self.read_at:
            self._may_read_at = self.read_at + PATIENCE * self._gather()
        return bool(self._waiting) and (pressing or now >= self._write_at or len(self._waiting) >= self._batch)

    def _take_waiting(self) -> list[tuple[Entry, M]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _note_read(self, entries: list[Entry]) -> None:
        self._note_lag(entries)
        if entries:
            self.read_at = time.monotonic()
            self._may_read_at = self.read_at + (0.0 if len(entries) >= self._batch else self._gather())

    def _note_lag(self, entries: list[Entry]) -> None:
        if len(entries) >= self._batch and _age(entries[-1]) > MAX_LAG:
            self._caught_up_since = None
        elif self._caught_up_since is None:
            self._caught_up_since = time.monotonic()

    async def _claim_abandoned(self) -> list[Entry]:
        now = time.monotonic()
        if now - self._claimed_at < CLAIM_EVERY:
            return []
        self._claimed_at = now
        return await self._consumer.claim()

    async def _without_gaps(self, entries: list[Entry]) -> list[Entry]:
        """Give up entries that Redis dropped at the bound of the stream before they were written."""
        gone = [entry for entry in entries if not entry.data]
        if gone:
            log.error("%s: %d entries were dropped from the bus before they were recorded", self._name, len(gone))
            await self._consumer.acknowledge(gone)
        return [entry for entry in entries if entry.data]

    async def _readable(self, entry: Entry) -> M | None:
        try:
            return self._decode(entry)
        except UnreadableMessage as error:
            await self._dead_letter(entry, f"unreadable: {error}")
            return None

    async def _handle(self, batch: Sequence[tuple[Entry, M]], *, redelivered: bool) -> None:
        try:
            await self._commit(batch, redelivered=redelivered)
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
        changes = publication.changes
        if len(changes) > AT_ONCE:  # in one transaction they would block Redis until all are in
            await publish_changes(self._redis, changes)
            changes = ()

        def also(pipe: Pipeline) -> None:
            queue_changes(pipe, changes)
            queue_receipts(pipe, publication.receipts)
            queue_confirmations(pipe, publication.confirmations)

        await self._consumer.acknowledge([entry for entry, _ in batch], also)

    async def _dead_letter(self, entry: Entry, reason: str) -> None:
        log.error("%s: entry %s goes to the dead letters: %s", self._name, entry.position.decode(), reason)
        await self._consumer.dead_letter(entry, reason)
        if self._give_up is not None:
            async with self._database.transaction() as connection:
                await self._give_up(connection, entry)

    def _note_outage(self, error: Exception) -> None:
        self._caught_up_since = None
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


def _age(entry: Entry) -> float:
    """Seconds since Redis took the entry; a position begins with that time in milliseconds, by the clock of Redis."""
    return time.time() - int(entry.position.split(b"-")[0]) / 1000
