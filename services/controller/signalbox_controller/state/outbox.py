"""Outbox of events and receipts: in order, published as soon as Redis takes them, kept while it is away."""

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
#: Events that are kept; beyond it the agents keep theirs. Below half of it the controller reads from them again.
LIMIT = 200_000


class _Group(msgspec.Struct):
    """Events and receipts that are published together: a receipt rests on its events."""

    events: Sequence[Event]
    receipts: Sequence[Receipt]
    published: Callable[[], None] | None


class Outbox:
    """An ordered, bounded buffer in front of Redis; one publisher empties it."""

    def __init__(self, redis: Redis, *, limit: int = LIMIT) -> None:
        self._redis = redis
        self._limit = limit
        self._groups: deque[_Group] = deque()
        self._events = 0
        self._filled = asyncio.Event()
        self._space = asyncio.Event()
        self._space.set()
        #: Called with True when it is full, and with False when there is space again.
        self.on_full: Callable[[bool], None] = lambda _full: None
        #: Whether the last try reached Redis.
        self.connected = True

    def put(
        self, *events: Event, receipts: Sequence[Receipt] = (), published: Callable[[], None] | None = None
    ) -> None:
        """Add events, and receipts that rest on them; `published` is called when Redis has them."""
        self._groups.append(_Group(events, receipts, published))
        self._events += len(events)
        self._filled.set()
        if self._events >= self._limit and self._space.is_set():
            log.warning("%d events wait for Redis: no more are taken from the workers for now", self._events)
            self._space.clear()
            self.on_full(True)

    async def published(self, *events: Event, receipts: Sequence[Receipt] = ()) -> None:
        """Add them, and return when Redis has them."""
        done = asyncio.Event()
        self.put(*events, receipts=receipts, published=done.set)
        await done.wait()

    async def run(self) -> None:
        """Publish until cancelled: the first group goes at once, those that come meanwhile go together."""
        backoff = Backoff(first=0.05, most=2.0)
        while True:
            await self._filled.wait()
            batch = self._next_batch()
            try:
                await publish_events(
                    self._redis,
                    [event for group in batch for event in group.events],
                    [receipt for group in batch for receipt in group.receipts],
                )
            except (BusUnavailable, RedisError) as error:
                self._set_connected(connected=False, why=error)
                await backoff.pause()
            else:
                self._set_connected(connected=True)
                backoff.reset()
                self._done(batch)

    async def wait_for_space(self) -> None:
        """Return when it is not full."""
        await self._space.wait()

    async def drain(self, seconds: float) -> bool:
        """Wait until all is published, for at most so long; return whether it is."""
        try:
            async with asyncio.timeout(seconds):
                if self._groups:
                    await self.published()
        except TimeoutError:
            return False
        return True

    def _next_batch(self) -> list[_Group]:
        batch, size = [], 0
        for group in self._groups:
            batch.append(group)
            size += len(group.events) + len(group.receipts)
            if size >= BATCH:
                break
        return batch

    def _done(self, batch: list[_Group]) -> None:
        for group in batch:
            self._groups.popleft()
            self._events -= len(group.events)
            if group.published is not None:
                group.published()
        if not self._groups:
            self._filled.clear()
        if not self._space.is_set() and self._events <= self._limit // 2:
            self._space.set()
            self.on_full(False)

    def _set_connected(self, *, connected: bool, why: Exception | None = None) -> None:
        if connected != self.connected:
            self.connected = connected
            if connected:
                log.info("Redis takes events again; %d waited", self._events)
            else:
                log.warning("Redis takes no events: %s; they are kept and tried again", why)
