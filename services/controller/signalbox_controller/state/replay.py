"""Replay of kept events: those that the record lacks are published again.

The record answers each heartbeat with the number up to which it has every event, and with the number up to which it
should have them. So nothing is published twice because the record is slow, and nothing is missing for long because the
bus was emptied, set back, or lost what it had taken. An event that comes twice changes nothing.
"""

import asyncio
import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus.confirmations import Confirmation
from signalbox.bus.publisher import EventEntry, publish_entries
from signalbox.errors import BusUnavailable
from signalbox.messages.base import utc_now
from signalbox.messages.codec import encode
from signalbox.messages.events import EventsLost
from signalbox.service import Backoff
from signalbox_controller.state.kept_events import KeptEvent, KeptEvents

log = logging.getLogger(__name__)

#: Events that are read from disk at once, and published in one pipeline.
PORTION, BATCH = 10_000, 500
#: Seconds without progress of the record before the same events are published once more.
PAUSE = 10.0


class Replay:
    """Publishes kept events again when the record asks for them."""

    def __init__(self, redis: Redis, kept: KeptEvents, host: str) -> None:
        self._redis = redis
        self._kept = kept
        self._host = host
        self._wanted = asyncio.Event()
        self._next, self._last = 1, 0
        #: What the record had when it last asked, and when it may ask for the same again, by the loop's clock.
        self._asked_at, self._not_before = -1, 0.0

    def follow(self, confirmation: Confirmation) -> None:
        """Take what the record has confirmed, and what it lacks."""
        self._kept.confirm(confirmation.confirmed)
        if not confirmation.missing_up_to or self._wanted.is_set():
            return
        now = asyncio.get_running_loop().time()
        if confirmation.confirmed == self._asked_at and now < self._not_before:
            return
        self._asked_at, self._not_before = confirmation.confirmed, now + PAUSE
        self._next = confirmation.confirmed + 1
        self._last = min(confirmation.missing_up_to, confirmation.confirmed + PORTION, self._kept.last)
        if self._next <= self._last:
            log.warning("The record lacks events from %d on: published again up to %d", self._next, self._last)
            self._wanted.set()

    async def run(self) -> None:
        """Publish what is wanted, until cancelled."""
        backoff = Backoff(first=0.1, most=5.0)
        while True:
            await self._wanted.wait()
            try:
                await self._publish()
            except (BusUnavailable, RedisError) as error:
                log.info("Kept events cannot be published now: %s", error)
                await backoff.pause()
            else:
                backoff.reset()
                self._wanted.clear()

    async def _publish(self) -> None:
        while self._next <= self._last:
            portion = list(self._kept.between(self._next, min(self._next + PORTION - 1, self._last)))
            for start in range(0, len(portion), BATCH):
                events = portion[start : start + BATCH]
                await publish_entries(self._redis, map(self._entry, events))
                self._next = events[-1].last + 1

    def _entry(self, kept: KeptEvent) -> EventEntry:
        if kept.data is not None:
            return self._kept.entry(kept.data, kept.first)
        count = kept.last - kept.first + 1
        log.error("%d events that the record lacks are not on disk any more", count)
        lost = EventsLost(at=utc_now(), host=self._host, worker=self._host, count=count)
        return self._kept.entry(encode(lost), kept.first, kept.last)
