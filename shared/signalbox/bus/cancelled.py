"""The ids of tasks that must never run, kept where every host finds them: a cancel is an intent, and outlives us all.

A sorted set holds them. A stream beside it holds what was added lately, in the order of its addition: who follows it
from where they were misses nothing. Who does not find that place again (Redis was emptied or set back, or too much was
added meanwhile) reads the whole set anew.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from math import ceil
from typing import cast

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking

log = logging.getLogger(__name__)

#: Ids that are remembered; beyond, those go first whose time is up first.
LIMIT = 100_000
#: Additions that can be followed; each holds at most `_PORTION` ids.
_LATELY = 8_000
#: Ids in one step: Redis does nothing else meanwhile (some 2 ms).
_PORTION = 250

#: Ids, each with the second of the epoch at which it may be forgotten.
Untils = Mapping[str, int]

#: An id that is known is remembered for longer, never for less: many say the same of it.
_ADD = """
local fresh = {}
for i = 3, #ARGV, 2 do
    if redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[i + 1], ARGV[i]) == 1 then
        fresh[#fresh + 1], fresh[#fresh + 2] = ARGV[i], ARGV[i + 1]
    end
end
if #fresh > 0 then redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', unpack(fresh)) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', redis.call('TIME')[1])
local beyond = math.max(0, redis.call('ZCARD', KEYS[1]) - ARGV[1])
if beyond > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, beyond - 1) end
return beyond
"""

#: Where to follow from. There is always something: who has seen nothing yet would not notice that it is gone.
_BEGIN = """
local latest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #latest > 0 then return latest[1][1] end
return redis.call('XADD', KEYS[1], '*', '', '')
"""


def until(since: datetime, seconds: float) -> int:
    """When a task may be forgotten that is to be refused for so long."""
    return ceil(since.timestamp() + seconds)


async def remember(redis: Redis, untils: Untils, *, limit: int = LIMIT) -> None:
    """Have every host refuse these tasks, from now on.

    Raises:
        BusUnavailable: it is not certain that they are remembered; say it again.
    """
    if not untils:
        return
    async with speaking(), redis.pipeline(transaction=False) as pipe:
        for portion in _portions(untils):
            pipe.eval(_ADD, 2, names.CANCELLED, names.CANCELLED_LATELY, limit, _LATELY, *portion)
        forgotten = sum(await pipe.execute())
    if forgotten:
        log.warning("More than %d cancelled tasks are to be remembered: the %d oldest are forgotten", limit, forgotten)


def _portions(untils: Untils) -> Iterator[list[str | int]]:
    rest = iter(untils.items())
    while portion := [part for pair in islice(rest, _PORTION) for part in pair]:
        yield portion


class Follower:
    """Reads all that is remembered, and from then on what is added."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        #: The position of the latest addition that we know of; none: we have to begin anew.
        self._place: bytes | None = None

    def lose(self) -> None:
        """Begin anew: the Redis that comes back may not be the one that went."""
        self._place = None

    async def begin(self) -> None:
        """Follow from here on.

        Raises:
            BusUnavailable: Redis is away.
        """
        async with speaking():
            self._place = cast("bytes", await self._redis.eval(_BEGIN, 1, names.CANCELLED_LATELY))

    async def everything(self, on_page: Callable[[], None] = lambda: None) -> dict[str, int]:
        """All that is remembered, and the place from which to follow; `on_page` is called as its pages come.

        Raises:
            BusUnavailable: Redis is away.
        """
        await self.begin()
        found: dict[str, int] = {}
        async with speaking():
            # Page by page, so that neither Redis nor we are held up; what is there all the time is not left out.
            async for member, score in self._redis.zscan_iter(names.CANCELLED, count=_PORTION):
                found[member.decode(errors="replace")] = int(score)
                if len(found) % _PORTION == 0:
                    on_page()
        return found

    async def added(self) -> dict[str, int] | None:
        """What was added since the last look; none when that cannot be told: read everything.

        Raises:
            BusUnavailable: Redis is away.
        """
        if self._place is None:
            return None
        async with speaking():
            entries = await self._redis.xrange(names.CANCELLED_LATELY, min=self._place)
        rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", entries)
        # What we know has to be there yet, or we cannot know what came after it.
        if not rows or rows[0][0] != self._place:
            self._place = None
            return None
        found: dict[str, int] = {}
        for self._place, fields in rows[1:]:
            found |= {task_id.decode(errors="replace"): int(at) for task_id, at in fields.items()}
        return found
