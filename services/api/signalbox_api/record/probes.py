"""Probes of what the record rests on: Redis, PostgreSQL, the reconciler; each measured again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from signalbox.bus import names
from signalbox.bus.presence import heartbeat_ages
from signalbox.bus.progress import Progress, progress
from signalbox.errors import BusUnavailable, DatabaseUnavailable
from signalbox.messages.base import utc_now
from signalbox_api.record.database import FALLBACK_WAIT, QueryPool
from signalbox_api.record.views import Heartbeat, last_heartbeat
from signalbox_api.record.vouching import RECORD_PARTS, Facts, Part, PartName, Vouch, vouch, vouching

T = TypeVar("T")

#: Seconds between two measurements.
EVERY = 0.5


class Measured(Generic[T]):
    """The last answer to a question, and when the question was asked."""

    def __init__(self) -> None:
        self.value: T | None = None
        #: Why the question was not answered since; empty when it was.
        self.error = ""
        self._asked_at: float | None = None

    async def measure(self, question: Callable[[], Awaitable[T]]) -> None:
        """Take note of the answer, or of the error that says that the server is away."""
        asked_at = _time()
        try:
            self.value = await question()
        except (BusUnavailable, RedisError, DatabaseUnavailable) as error:
            self.error = str(error)
        else:
            self._asked_at, self.error = asked_at, ""

    @property
    def age(self) -> float | None:
        """Seconds since the question that was answered last."""
        return None if self._asked_at is None else _time() - self._asked_at

    def aged(self, age: float | None) -> float | None:
        """What an age in the answer has become by now."""
        return None if age is None or self.age is None else max(0.0, age) + self.age


class Probes:
    """Measures the facts, and decides by them who vouches for the record."""

    def __init__(self, redis: Redis, record: QueryPool, live_age: Callable[[], float | None]) -> None:
        """`live_age` returns the seconds since changes last could arrive."""
        self._redis = redis
        self._record = record
        self._live_age = live_age
        self._progress: Measured[Progress] = Measured()
        self._hosts: Measured[dict[str, float]] = Measured()
        self._heartbeat: Measured[Heartbeat] = Measured()

    async def follow_redis(self) -> None:
        """Measure for ever."""
        while True:
            await self.ask_redis()
            await asyncio.sleep(EVERY)

    async def follow_record(self) -> None:
        """Measure for ever."""
        while True:
            await self.ask_record()
            await asyncio.sleep(EVERY)

    async def ask_redis(self) -> None:
        """Measure how far the reconcilers are with the events, and the hosts' heartbeats."""
        await self._progress.measure(lambda: progress(self._redis, names.EVENTS, names.RECONCILER_GROUP))
        await self._hosts.measure(lambda: heartbeat_ages(self._redis))

    async def ask_record(self) -> None:
        """Read the last heartbeat of a reconciler."""
        await self._heartbeat.measure(lambda: self._record.read(last_heartbeat, FALLBACK_WAIT))

    def facts(self) -> Facts:
        """The facts as they are now."""
        events, heartbeat = self._progress, self._heartbeat
        return Facts(
            redis_error=events.error,
            redis_age=events.age,
            database_error=self._record.health.error,
            database_age=heartbeat.age,
            heartbeat_age=heartbeat.aged(heartbeat.value.seen_age) if heartbeat.value else None,
            complete_age=heartbeat.aged(heartbeat.value.complete_age) if heartbeat.value else None,
            backlog_age=(events.aged(events.value.oldest) if events.value else None) or 0.0,
            read_age=events.aged(events.value.idle) if events.value else None,
            live_age=self._live_age(),
        )

    def heartbeat_ages(self) -> dict[str, float]:
        """Seconds since the last heartbeat of each host on the bus."""
        return {host: self._hosts.aged(age) or 0.0 for host, age in (self._hosts.value or {}).items()}

    def parts(self) -> list[Part]:
        """Every part, as it is now."""
        return vouching(self.facts(), utc_now())

    def vouch(self, *needed: PartName) -> Vouch:
        """Whether anybody vouches for the record now, as far as these parts are concerned; by default its own."""
        return vouch(self.facts(), utc_now(), needed or RECORD_PARTS)


def _time() -> float:
    return asyncio.get_running_loop().time()
