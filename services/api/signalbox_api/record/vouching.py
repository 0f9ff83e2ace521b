"""Vouching: which part that the record rests on is behind or away, and since when; pure, from measured ages.

Each age was measured by one clock (PostgreSQL's for what it holds, Redis' for its streams, the monotonic one of this
process for the rest), so that no two clocks are compared. Only the moments that are shown are by the clock of the api.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

PartName = Literal["redis", "database", "reconciler", "live"]
PartState = Literal["ok", "behind", "away", "unknown"]

#: Seconds after which a part that did not answer, or has work left, is no longer `ok`: three heartbeats.
LATE = 3.0
#: The parts without which nobody vouches for the record; without `live`, only browsers miss changes.
RECORD_PARTS: tuple[PartName, ...] = ("redis", "database", "reconciler")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Measured facts; ages in seconds, None where the thing has never been seen."""

    #: Why the last question to Redis failed; empty when it was answered.
    redis_error: str = ""
    #: Since Redis last answered.
    redis_age: float | None = None
    #: Why the last query of PostgreSQL failed; empty when it was answered.
    database_error: str = ""
    #: Since PostgreSQL last answered.
    database_age: float | None = None
    #: Since the last heartbeat of a reconciler in the record.
    heartbeat_age: float | None = None
    #: Since the moment up to which the record is known to have every event.
    complete_age: float | None = None
    #: Of the oldest event that is not in the record; 0 when there is none.
    backlog_age: float = 0.0
    #: Since a reconciler last read events.
    read_age: float | None = None
    #: Since changes last could arrive from Redis.
    live_age: float | None = 0.0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part, and whether it can be relied on."""

    name: PartName
    state: PartState
    #: Since when it is not `ok`; none: it is, or it never was.
    since: datetime | None = None
    #: In a sentence without a full stop: what is wrong, and what that means. Empty while it is `ok`.
    message: str = ""


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is behind or away."""

    part: PartName
    #: None: it has never been there.
    since: datetime | None
    message: str


class Vouch(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anybody vouches for the record."""

    #: Every event until then is in the record, as far as is known; none: nobody has ever said so.
    as_of: datetime | None = None
    #: The parts that are behind or away; while there are any, nobody vouches for what is shown.
    behind: tuple[Behind, ...] = ()

    def read_at(self, moment: datetime) -> "Vouch":
        """The same for what was read at an earlier moment."""
        return self if self.as_of is None else msgspec.structs.replace(self, as_of=min(self.as_of, moment))

    @property
    def given(self) -> bool:
        """Whether what the record shows can be taken as it is now."""
        return not self.behind

    @property
    def awaited(self) -> str:
        """The part that the record waits for, in words; empty when it waits for none."""
        return next((_IN_WORDS[behind.part] for behind in self.behind), "")


_IN_WORDS: dict[PartName, str] = {
    "redis": "Redis",
    "database": "the database",
    "reconciler": "the reconciler",
    "live": "Redis",
}


def vouching(facts: Facts, now: datetime) -> list[Part]:
    """Every part; `now` is by the clock of the api."""
    return [_redis(facts, now), _database(facts, now), _reconciler(facts, now), _live(facts, now)]


def vouch(facts: Facts, now: datetime, needed: Sequence[PartName] = RECORD_PARTS) -> Vouch:
    """Whether anybody vouches for the record, as far as the parts `needed` are concerned."""
    behind = tuple(
        Behind(part=part.name, since=part.since, message=part.message)
        for part in vouching(facts, now)
        # Where a part is unknown another one is away, which says it.
        if part.name in needed and part.state in {"behind", "away"}
    )
    return Vouch(as_of=_before(now, facts.complete_age), behind=behind)


def _redis(facts: Facts, now: datetime) -> Part:
    if not facts.redis_error and _recent(facts.redis_age):
        return Part(name="redis", state="ok")
    message = "Redis is away: what happens now is not seen"
    return Part(name="redis", state="away", since=_before(now, facts.redis_age), message=message)


def _database(facts: Facts, now: datetime) -> Part:
    if not facts.database_error and _recent(facts.database_age):
        return Part(name="database", state="ok")
    message = "PostgreSQL is away: the record cannot be read or written"
    return Part(name="database", state="away", since=_before(now, facts.database_age), message=message)


def _reconciler(facts: Facts, now: datetime) -> Part:
    redis, database = _redis(facts, now), _database(facts, now)
    if database.state != "ok":
        message = "What the reconciler does cannot be seen without PostgreSQL"
        return Part(name="reconciler", state="unknown", since=database.since, message=message)
    if not _recent(facts.heartbeat_age):
        return _silent_reconciler(facts, now, reads=redis.state == "ok" and _reads(facts))
    if redis.state != "ok":
        return Part(name="reconciler", state="ok")
    if facts.backlog_age > LATE:
        message = "The reconciler is behind: older events have yet to reach the record"
        return Part(name="reconciler", state="behind", since=_before(now, facts.backlog_age), message=message)
    if not _recent(facts.complete_age):
        # What it writes of its progress is up to a second old, and after an outage older than what it has read since.
        message = "The reconciler has yet to confirm that every event is in the record"
        if not _recent(facts.read_age):
            message = "The reconciler does not read events: does it reach the same Redis?"
        return Part(name="reconciler", state="behind", since=_before(now, facts.complete_age), message=message)
    return Part(name="reconciler", state="ok")


def _reads(facts: Facts) -> bool:
    """Whether a reconciler has read events since the last heartbeat; one that ended did both at about the same time."""
    if not _recent(facts.read_age) or facts.read_age is None:
        return False
    return facts.heartbeat_age is None or facts.heartbeat_age - facts.read_age > LATE / 2


def _silent_reconciler(facts: Facts, now: datetime, *, reads: bool) -> Part:
    since = _before(now, facts.heartbeat_age)
    if reads:
        message = "The reconciler reads events, and does not write the record"
        return Part(name="reconciler", state="behind", since=since, message=message)
    message = "The reconciler is away: what happens now does not reach the record"
    if since is None:
        message = "No reconciler has written to the record: nothing of what happens reaches it"
    return Part(name="reconciler", state="away", since=since, message=message)


def _live(facts: Facts, now: datetime) -> Part:
    if _recent(facts.live_age):
        return Part(name="live", state="ok")
    message = "Changes do not arrive at this api: the page shows what it loads, later"
    return Part(name="live", state="away", since=_before(now, facts.live_age), message=message)


def _recent(age: float | None) -> bool:
    return age is not None and age <= LATE


def _before(now: datetime, age: float | None) -> datetime | None:
    return None if age is None else now - timedelta(seconds=age)
