"""The way out: events and receipts in their order, published as soon as Redis takes them, kept while it is away."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.publisher import publish_events
from signalbox.errors import BusUnavailable
from signalbox.messages.events import Event
from signalbox.messages.receipts import Receipt
from signalbox.service import Backoff

log = logging.getLogger(__name__)

#: Events in one pipeline.
BATCH = 500
#: Events that are kept; beyond it the agents have to keep theirs. Reading goes on at half of it.
LIMIT = 200_000


class _Parcel(msgspec.Struct):
    """What must not be torn apart: a receipt travels with the events that it rests on."""

    events: Sequence[Event]
    receipts: Sequence[Receipt]
    published: Callable[[], None] | None


class Outbox:
    """An ordered, bounded buffer in front of Redis; one publisher empties it."""

    def __init__(self, redis: Redis, *, limit: int = LIMIT) -> None:
        self._redis = redis
        self._limit = limit
        self._parcels: deque[_Parcel] = deque()
        self._events = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._full = False
        self._room = asyncio.Event()
        self._room.set()
        self._on_full: Callable[[bool], None] = lambda _full: None
        #: Whether the last try reached Redis.
        self.connected = True

    def on_full(self, tell: Callable[[bool], None]) -> None:
        """Call `tell(True)` when it is full, and `tell(False)` when there is room again."""
        self._on_full = tell

    def put(
        self, *events: Event, receipts: Sequence[Receipt] = (), published: Callable[[], None] | None = None
    ) -> None:
        """Take in events, and receipts that rest on them; `published` is called when Redis has them."""
        self._parcels.append(_Parcel(events, receipts, published))
        self._events += len(events)
        self._filled.set()
        self._emptied.clear()
        if self._events >= self._limit and not self._full:
            self._full = True
            log.warning("%d events wait for Redis: no more are taken from the workers for now", self._events)
            self._room.clear()
            self._on_full(True)

    async def published(self, *events: Event, receipts: Sequence[Receipt] = ()) -> None:
        """Take them in, and return when Redis has them."""
        done = asyncio.Event()
        self.put(*events, receipts=receipts, published=done.set)
        await done.wait()

    async def run(self) -> None:
        """Publish for ever, without a tick: the first parcel goes at once, what comes meanwhile goes together."""
        backoff = Backoff(first=0.05, most=2.0)
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            try:
                await publish_events(
                    self._redis,
                    [event for parcel in batch for event in parcel.events],
                    [receipt for parcel in batch for receipt in parcel.receipts],
                )
            except (BusUnavailable, RedisError) as error:
                self._note(connected=False, why=error)
                await backoff.pause()
            else:
                self._note(connected=True)
                backoff.reset()
                self._done(batch)

    async def room(self) -> None:
        """Return when it is not full: for those who can wait with what they have to tell."""
        await self._room.wait()

    async def drain(self, seconds: float) -> bool:
        """Wait until all is published, for at most so long; answer whether it is."""
        try:
            async with asyncio.timeout(seconds):
                if self._parcels:
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def _next_batch(self) -> list[_Parcel]:
        batch, size = [], 0
        for parcel in self._parcels:
            batch.append(parcel)
            size += len(parcel.events) + len(parcel.receipts)
            if size >= BATCH:
                break
        return batch

    def _done(self, batch: list[_Parcel]) -> None:
        for parcel in batch:
            self._parcels.popleft()
            self._events -= len(parcel.events)
            if parcel.published is not None:
                parcel.published()
        if not self._parcels:
            self._filled.clear()
            self._emptied.set()
        if self._full and self._events <= self._limit // 2:
            self._full = False
            self._room.set()
            self._on_full(False)

    def _note(self, *, connected: bool, why: Exception | None = None) -> None:
        if connected != self.connected:
            self.connected = connected
            if connected:
                log.info("Redis takes events again; %d waited", self._events)
            else:
                log.warning("Redis takes no events: %s; they are kept and tried again", why)
