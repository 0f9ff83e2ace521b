"""Outbox of events and receipts: in order, on disk before they are published, kept while Redis is away."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.clock import BusClock
from signalbox.bus.publisher import EventEntry, publish_entries
from signalbox.errors import BusUnavailable
from signalbox.messages.codec import encode
from signalbox.messages.events import (
    Event,
    EventNumbers,
    HostLeft,
    HostSeen,
    TaskFailed,
    TaskRan,
    TaskReceived,
    TaskRetried,
    TaskStarted,
    TaskSucceeded,
)
from signalbox.messages.receipts import Receipt
from signalbox.service import Backoff
from signalbox_controller.state.corrected import corrected
from signalbox_controller.state.kept_events import KeptEvents

log = logging.getLogger(__name__)

#: Events in one pipeline.
BATCH = 500
#: Events that wait for Redis; beyond it the agents keep theirs. Below half of it the controller reads from them again.
LIMIT = 200_000
#: Events of the moment: the next one says the same, so they have no number and are not kept.
HEARTBEATS = (HostSeen, HostLeft)
#: Seconds between two publications while nothing but the daily course of tasks is to be told: the record pays for each
#: publication, not for each event. All else goes at once, and takes along what waits.
GATHER = 0.05
#: Events for which nobody waits; a stop, a cancel or a command that they belong to tells more.
COURSE = (TaskReceived, TaskStarted, TaskSucceeded, TaskRan, TaskFailed, TaskRetried)


class _Group(msgspec.Struct):
    """Events and receipts that are published together: a receipt rests on its events."""

    entries: Sequence[EventEntry]
    receipts: Sequence[Receipt]
    #: The number of the latest event, in this group or before it.
    last: int
    #: Whether it is published without delay.
    urgent: bool = False
    #: Called when the events are on disk or in Redis.
    kept: Callable[[], None] | None = None
    #: Called when they are in Redis.
    published: Callable[[], None] | None = None


class Outbox:
    """An ordered, bounded buffer in front of Redis; one publisher empties it."""

    def __init__(
        self, redis: Redis, kept_events: KeptEvents | None = None, clock: BusClock | None = None, *, limit: int = LIMIT
    ) -> None:
        """`kept_events` has the events until the record has confirmed them; without it, memory until Redis has them.

        By `clock` the times in events are corrected.
        """
        self._redis = redis
        self._kept_events = kept_events
        self._clock = clock
        self._limit = limit
        self._groups: deque[_Group] = deque()
        self._events = 0
        #: Events that are not on disk yet, the number of the first, and who waits for them.
        self._unwritten: list[bytes] = []
        self._first_unwritten = 0
        self._unkept: list[_Group] = []
        self._filled = asyncio.Event()
        #: Set when what waits is to be published without delay.
        self._urgent = asyncio.Event()
        self._published_at = float("-inf")
        self._space = asyncio.Event()
        self._space.set()
        #: Called with True when it is full, and with False when there is space again.
        self.on_full: Callable[[bool], None] = lambda _full: None
        #: Whether the last try reached Redis.
        self.connected = True

    @property
    def numbers(self) -> EventNumbers | None:
        """The number of the latest event."""
        kept = self._kept_events
        return None if kept is None else EventNumbers(epoch=kept.epoch, last=kept.last)

    def put(self, *events: Event, receipts: Sequence[Receipt] = (), kept: Callable[[], None] | None = None) -> None:
        """Add events, and receipts that rest on them; `kept` is called when the disk or Redis has them."""
        self._put(self._group(events, receipts, kept=kept))

    async def published(self, *events: Event, receipts: Sequence[Receipt] = ()) -> None:
        """Add them, and return when Redis has them."""
        done = asyncio.Event()
        self._put(self._group(events, receipts, published=done.set))
        await done.wait()

    def write(self) -> None:
        """Write to disk what is not there yet, in one go."""
        events, self._unwritten = self._unwritten, []
        groups, self._unkept = self._unkept, []
        if self._kept_events is None or (events and not self._kept_events.append(self._first_unwritten, events)):
            return
        for group in groups:
            _call_kept(group)

    async def run(self) -> None:
        """Publish until cancelled: the first group goes at once, those that come soon after go together.

        What a former controller could not publish goes first.
        """
        await self._publish_inherited()
        while True:
            await self._filled.wait()
            await self._gather()
            self.write()
            batch = self._next_batch()
            await self._publish(
                [entry for group in batch for entry in group.entries],
                [receipt for group in batch for receipt in group.receipts],
            )
            self._done(batch)

    async def _gather(self) -> None:
        """Wait for more to publish, unless that is enough, or it is urgent, or the last time is long ago."""
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._urgent.wait(), max(0.0, self._published_at + GATHER - clock()))
        self._published_at = clock()

    async def _publish_inherited(self) -> None:
        kept = self._kept_events
        if kept is None or kept.published >= kept.inherited:
            return
        count = kept.inherited - kept.published
        log.info("%d events may not have been published by the former controller: published now", count)
        while kept.published < kept.inherited:
            last = min(kept.published + BATCH, kept.inherited)
            events = kept.between(kept.published + 1, last)
            await self._publish([kept.entry(one.data, one.first) for one in events if one.data is not None])
            kept.published = last

    async def _publish(self, entries: Sequence[EventEntry], receipts: Sequence[Receipt] = ()) -> None:
        """Return when Redis has them."""
        backoff = Backoff(first=0.05, most=2.0)
        while True:
            try:
                await publish_entries(self._redis, entries, receipts)
            except (BusUnavailable, RedisError) as error:
                self._set_connected(connected=False, why=error)
                await backoff.pause()
            else:
                return self._set_connected(connected=True)

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

    def _group(
        self,
        events: Sequence[Event],
        receipts: Sequence[Receipt],
        kept: Callable[[], None] | None = None,
        published: Callable[[], None] | None = None,
    ) -> _Group:
        entries = [self._entry(event) for event in events]
        last = 0 if self._kept_events is None else self._kept_events.last
        urgent = bool(receipts or published) or not all(isinstance(event, COURSE) for event in events)
        return _Group(entries, receipts, last, urgent, kept, published)

    def _entry(self, event: Event) -> EventEntry:
        data = encode(corrected(event, self._clock.ahead or 0.0) if self._clock else event)
        if self._kept_events is None or isinstance(event, HEARTBEATS):
            return EventEntry(data)
        number = self._kept_events.number()
        if not self._unwritten:
            self._first_unwritten = number
        self._unwritten.append(data)
        return self._kept_events.entry(data, number)

    def _put(self, group: _Group) -> None:
        if not self._unkept:
            asyncio.get_running_loop().call_soon(self.write)
        self._unkept.append(group)
        self._groups.append(group)
        self._events += len(group.entries)
        self._filled.set()
        if group.urgent or self._events >= BATCH:
            self._urgent.set()
        if self._events >= self._limit and self._space.is_set():
            log.warning("%d events wait for Redis: no more are taken from the workers for now", self._events)
            self._space.clear()
            self.on_full(True)

    def _next_batch(self) -> list[_Group]:
        batch, size = [], 0
        for group in self._groups:
            batch.append(group)
            size += len(group.entries) + len(group.receipts)
            if size >= BATCH:
                break
        return batch

    def _done(self, batch: list[_Group]) -> None:
        if self._kept_events is not None:
            self._kept_events.published = batch[-1].last
        for group in batch:
            self._groups.popleft()
            self._events -= len(group.entries)
            _call_kept(group)
            if group.published is not None:
                group.published()
        if not self._groups:
            self._filled.clear()
        if self._events < BATCH and not any(group.urgent for group in self._groups):
            self._urgent.clear()
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


def _call_kept(group: _Group) -> None:
    kept, group.kept = group.kept, None
    if kept is not None:
        kept()
