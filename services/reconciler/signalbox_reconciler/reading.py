"""Reading of one stream: batches of decoded messages, gathered while few come, read ahead while many wait."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

from signalbox.bus.consumer import Consumer, Entry
from signalbox.errors import BusUnavailable, DatabaseUnavailable, UnreadableMessage

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


class Batch(msgspec.Struct, Generic[M], frozen=True):
    """Messages that are to be written, each with its entry; perhaps none."""

    messages: Sequence[tuple[Entry, M]]
    #: Whether they may have been written before.
    redelivered: bool = False
    #: Whether others are waiting on the bus already.
    is_full: bool = False


class Reading(Generic[M]):
    """Reads batches in the order of the stream, as a member of a group."""

    def __init__(
        self,
        name: str,
        consumer: Consumer,
        decode: Callable[[Entry], M],
        dead_letter: Callable[[Entry, str], Awaitable[None]],
        *,
        batch: int,
        gather: Callable[[], float] = lambda: 0.0,
        may_wait: Callable[[M], bool] = lambda _message: False,
    ) -> None:
        """For `gather` and `may_wait` see `Feed`; `dead_letter` is called with what cannot be decoded, and why."""
        self._name = name
        self._consumer = consumer
        self._decode = decode
        self._dead_letter = dead_letter
        self._batch = batch
        self._gather = gather
        self._may_wait = may_wait
        #: What waits, in the order of the stream, and the monotonic time at which it is written.
        self._waiting: list[tuple[Entry, M]] = []
        self._write_at = math.inf
        self._may_read_at = 0.0
        self._claimed_at = 0.0
        self._ahead: asyncio.Task[tuple[Batch[M], bool]] | None = None
        #: Monotonic time of the latest read that had entries.
        self.read_at = -math.inf
        #: Monotonic time since which entries are read as soon as they are published; None while it lags.
        self.caught_up_since: float | None = None

    @property
    def is_ahead(self) -> bool:
        """Whether the next messages are being read already."""
        return self._ahead is not None

    async def next(self) -> Batch[M]:
        """The next messages that are to be written; none if there are none, or they may wait for more.

        What came before is acknowledged, unless it is read ahead.

        Raises:
            BusUnavailable, DatabaseUnavailable: call `give_back`, and try again later.
        """
        ahead, self._ahead = self._ahead, None
        read, pressing = await (ahead or self._read(await self._claim_abandoned()))
        if not self._complete_batch(read.messages, pressing=pressing):
            return Batch(())
        return msgspec.structs.replace(read, messages=self._take_waiting())

    def read_ahead(self) -> None:
        """Read the next messages while others are being written, unless it is time to claim some.

        What is being written is not acknowledged, so that we might claim it from ourselves.
        """
        if time.monotonic() - self._claimed_at < CLAIM_EVERY:
            self._ahead = asyncio.ensure_future(self._read([]))

    async def give_back(self) -> None:
        """Read all again that is not acknowledged."""
        self._take_waiting()
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            with suppress(asyncio.CancelledError, BusUnavailable, DatabaseUnavailable):
                await ahead
        self._consumer.rewind()

    async def _read(self, entries: list[Entry]) -> tuple[Batch[M], bool]:
        """The messages of these entries, or else of one read, and whether one of them must not wait."""
        if not entries:
            await asyncio.sleep(max(0.0, self._may_read_at - time.monotonic()))
            entries = await self._consumer.read(self._block_ms())
            self._note_read(entries)
        redelivered, is_full = self._consumer.redelivered, len(entries) >= self._batch
        readable = [
            (entry, message)
            for entry in await self._without_gaps(entries)
            if (message := await self._readable(entry)) is not None
        ]
        pressing = redelivered or not all(self._may_wait(message) for _, message in readable)
        return Batch(readable, redelivered=redelivered, is_full=is_full), pressing

    def _block_ms(self) -> int:
        return (
            min(BLOCK_MS, max(1, math.ceil((self._write_at - time.monotonic()) * 1000))) if self._waiting else BLOCK_MS
        )

    def _complete_batch(self, readable: Sequence[tuple[Entry, M]], *, pressing: bool) -> bool:
        """Add messages to those that wait; return whether these are to be written now."""
        now = time.monotonic()
        if readable and not self._waiting:
            self._write_at = now + WAIT
        self._waiting += readable
        if not pressing and self._may_read_at > self.read_at:
            self._may_read_at = self.read_at + PATIENCE * self._gather()
        return bool(self._waiting) and (pressing or now >= self._write_at or len(self._waiting) >= self._batch)

    def _take_waiting(self) -> list[tuple[Entry, M]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _note_read(self, entries: Sequence[Entry]) -> None:
        self._note_lag(entries)
        if entries:
            self.read_at = time.monotonic()
            self._may_read_at = self.read_at + (0.0 if len(entries) >= self._batch else self._gather())

    def _note_lag(self, entries: Sequence[Entry]) -> None:
        if len(entries) >= self._batch and _age(entries[-1]) > MAX_LAG:
            self.caught_up_since = None
        elif self.caught_up_since is None:
            self.caught_up_since = time.monotonic()

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


def _age(entry: Entry) -> float:
    """Seconds since Redis took the entry; a position begins with that time in milliseconds, by the clock of Redis."""
    return time.time() - int(entry.position.split(b"-")[0]) / 1000
