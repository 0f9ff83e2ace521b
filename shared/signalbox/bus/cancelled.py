"""Cancelled ids in Redis: the tasks that no host may run; they outlive every restart.

A sorted set holds them. A stream beside it holds the latest additions in their order: a reader that goes on from its
position misses nothing. A reader that does not find its position (Redis was emptied or set back, or too much was added
meanwhile) reads the whole set again.

An id can be released: what was to be forgotten up to a certain second is void then. A third key holds those seconds, so
that a host that was away does not bring back what was released meanwhile. A later cancel is forgotten later, and holds.
"""

import logging
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from itertools import islice
from math import ceil
from typing import cast

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import MOST, number, text
from signalbox.messages.ids import is_task_key

log = logging.getLogger(__name__)

#: Ids that the set holds; beyond it the first to expire are dropped.
LIMIT = 100_000
#: Additions that the stream holds; each has at most `_PORTION` ids.
_LATELY = 8_000
#: Ids in one step: Redis does nothing else meanwhile (some 2 ms).
_PORTION = 250

#: Ids, each with the second of the epoch at which it may be forgotten.
Untils = Mapping[str, int]

_KEYS = (names.CANCELLED, names.CANCELLED_LATELY, names.ALLOWED)

#: The id of the next entry. The first of a stream has a random part: after Redis was emptied, a stream that began in
#: the same millisecond would else have the ids of the former one, and a follower would not notice the loss.
_NEXT = """
local function next_id(stream, random)
    if redis.call('EXISTS', stream) == 1 then return '*' end
    local now = redis.call('TIME')
    return string.format('%d%03d-%s', now[1], math.floor(now[2] / 1000), random)
end
"""

#: An id that is there already may get a later expiry, never an earlier one; one that was released needs a later one.
_ADD = f"""{_NEXT}
local fresh = {{}}
for i = 4, #ARGV, 2 do
    local void = tonumber(redis.call('ZSCORE', KEYS[3], ARGV[i]) or 0)
    local late = tonumber(ARGV[i + 1]) == void and 1 or 0
    if tonumber(ARGV[i + 1]) + late > void and
        redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[i + 1] + late, ARGV[i]) == 1
    then
        fresh[#fresh + 1], fresh[#fresh + 2] = ARGV[i], string.format('%d', ARGV[i + 1] + late)
    end
end
if #fresh > 0 then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], next_id(KEYS[2], ARGV[3]), unpack(fresh)) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', redis.call('TIME')[1])
local beyond = math.max(0, redis.call('ZCARD', KEYS[1]) - ARGV[1])
if beyond > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, beyond - 1) end
return beyond
"""

#: Each id with the second up to which it is released; in the stream that is negative.
_RELEASE = f"""{_NEXT}
for i = 3, #ARGV, 2 do
    redis.call('ZADD', KEYS[3], 'GT', ARGV[i + 1], ARGV[i])
    if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or 0) <= tonumber(ARGV[i + 1]) then
        redis.call('ZREM', KEYS[1], ARGV[i])
    end
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], next_id(KEYS[2], ARGV[2]), ARGV[i], -ARGV[i + 1])
end
"""

#: The position to follow from. An empty stream gets an entry, so that its loss can be noticed.
_BEGIN = f"""{_NEXT}
local latest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #latest > 0 then return latest[1][1] end
return redis.call('XADD', KEYS[1], next_id(KEYS[1], ARGV[1]), '', '')
"""


def until(since: datetime, seconds: float) -> int:
    """The second of the epoch at which a task that is refused for so long is forgotten."""
    return ceil(since.timestamp() + seconds)


async def remember(redis: Redis, untils: Untils, *, limit: int = LIMIT) -> None:
    """Add tasks, which every host then refuses.

    Raises:
        BusUnavailable: it is not certain that they were added; add them again.
    """
    if not untils:
        return
    async with bus_errors(redis), redis.pipeline(transaction=False) as pipe:
        for portion in _portions(untils):
            pipe.eval(_ADD, 3, *_KEYS, limit, _LATELY, _random(), *portion)
        forgotten = sum(await pipe.execute())
    if forgotten:
        log.warning("More than %d cancelled tasks are to be remembered: the %d oldest are forgotten", limit, forgotten)


async def release(redis: Redis, voids: Untils) -> None:
    """Release tasks: void is what is to be forgotten up to these seconds.

    Raises:
        BusUnavailable: it is not certain that they were released; release them again.
    """
    if not voids:
        return
    async with bus_errors(redis), redis.pipeline(transaction=False) as pipe:
        for portion in _portions(voids):
            pipe.eval(_RELEASE, 3, *_KEYS, _LATELY, _random(), *portion)
        await pipe.execute()


async def released(redis: Redis, task_ids: Collection[str]) -> dict[str, int]:
    """Those of these tasks that were released lately, and the seconds up to which.

    Raises:
        BusUnavailable: Redis is away.
    """
    if not task_ids:
        return {}
    async with bus_errors(redis):
        scores = await redis.zmscore(names.ALLOWED, list(task_ids))
    return {task_id: int(score) for task_id, score in zip(task_ids, scores, strict=True) if score is not None}


def _random() -> int:
    return secrets.randbelow(2**48)


def _portions(untils: Untils) -> Iterator[list[str | int]]:
    rest = iter(untils.items())
    while portion := [part for pair in islice(rest, _PORTION) for part in pair]:
        yield portion


class Follower:
    """Follower of the set: reads all of it, and from then on the additions."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        #: The position of the latest addition that was read; None: the set must be read again.
        self._position: bytes | None = None

    def lose(self) -> None:
        """Forget the position: the Redis that comes back may not be the one that went."""
        self._position = None

    async def begin(self) -> None:
        """Follow from here on.

        Raises:
            BusUnavailable: Redis is away.
        """
        async with bus_errors(self._redis):
            self._position = cast("bytes", await self._redis.eval(_BEGIN, 1, names.CANCELLED_LATELY, _random()))

    async def everything(self, on_page: Callable[[], None] = lambda: None) -> dict[str, int]:
        """Read the whole set, and take the position to follow from; `on_page` is called for each page.

        Raises:
            BusUnavailable: Redis is away.
        """
        await self.begin()
        found: dict[str, int] = {}
        async with bus_errors(self._redis):
            # Page by page, so that neither Redis nor we are held up; what is there all the time is not left out.
            async for member, score in self._redis.zscan_iter(names.CANCELLED, count=_PORTION):
                if (task_id := _task_id(member)) is not None:
                    found[task_id] = int(max(0, min(score, MOST)))
                if len(found) % _PORTION == 0:
                    on_page()
        return found

    async def added(self) -> dict[str, int] | None:
        """Read the changes since the last read; None when the position is gone: read everything.

        Of an id that was released the second is negative; what is to be forgotten up to it is void.

        Raises:
            BusUnavailable: Redis is away.
        """
        if self._position is None:
            return None
        async with bus_errors(self._redis):
            entries = await self._redis.xrange(names.CANCELLED_LATELY, min=self._position)
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", entries)
        # The last entry that was read must still be there, or additions after it may be lost.
        if not rows or rows[0][0] != self._position:
            self._position = None
            return None
        found: dict[str, int] = {}
        for self._position, fields in rows[1:]:
            for member, at in fields.items():
                if (task_id := _task_id(member)) is not None and (until_second := number(at)) is not None:
                    found[task_id] = int(until_second)
        return found


def _task_id(member: bytes) -> str | None:
    """The id in a member of the set; None for one that no task can have."""
    found = text(member)
    return found if found is not None and is_task_key(found) else None
