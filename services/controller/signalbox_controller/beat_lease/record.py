"""The lease of one application's beat as Redis keeps it: who holds it, and when each entry of the schedule last ran.

Nothing here looks at a clock. Each holder has a number of its own, the fence, greater than that of every holder
before it, and every step names its fence: Redis refuses what comes from a former holder, however late it comes.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import number, put_aside, text
from signalbox.errors import BusMalformed

#: When each entry of the schedule was last sent, in seconds of the epoch.
EntryTimes = Mapping[str, float]

#: In front of each script. KEYS: the lease, the runs. The holder's own number and name come first.
_CURRENT = """
local function current(owner, fence)
    local held = redis.call('HMGET', KEYS[1], 'owner', 'fence')
    return held[1] == owner and held[2] == fence
end
"""

_TAKE = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'fence', 'renewals')
local owner, fence, renewals = held[1] or '', held[2] or '0', held[3] or '0'
if owner ~= '' and owner ~= ARGV[1] and (fence ~= ARGV[4] or renewals ~= ARGV[5]) then return {} end
fence = string.format('%d', math.max(tonumber(fence), tonumber(ARGV[3])) + 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'host', ARGV[2], 'fence', fence, 'renewals', '0')
return {fence, redis.call('HGETALL', KEYS[2]), redis.call('HGET', KEYS[1], 'lock') or ''}
"""

#: A lease that an emptied Redis has forgotten is put back; nobody else can have taken it meanwhile without a trace.
#: Answers 2 then: the runs are forgotten, too.
_RENEW = """
local forgotten = redis.call('EXISTS', KEYS[1]) == 0
if forgotten then
    redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'host', ARGV[3], 'fence', ARGV[2])
end
if not current(ARGV[1], ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'renewals', 1)
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'lock', ARGV[4]) end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return forgotten and 2 or 1
"""

_CLAIM = """
if not current(ARGV[1], ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'renewals', 1)
return 1
"""

_RELEASE = """
if not current(ARGV[1], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'owner', '', 'host', '')
return 1
"""


class LeaseState(msgspec.Struct, frozen=True):
    """The lease at one moment; two that are equal mean that its holder did nothing in between."""

    #: Empty when nobody holds it.
    owner: str = ""
    host: str = ""
    fence: int = 0
    renewals: int = 0


class Renewal(IntEnum):
    """What became of a lease that its holder renewed."""

    LOST = 0
    KEPT = 1
    #: Redis had forgotten it, and with it the runs.
    PUT_BACK = 2


class Grant(msgspec.Struct, frozen=True):
    """The lease, at the moment that it became ours."""

    fence: int
    runs: EntryTimes
    #: The token of the lock that the scheduler of the former beat had of its own, if it had one.
    lock: str = ""


class LeaseRecord:
    """The lease of one application, for one beat; every call raises BusUnavailable while Redis is away."""

    def __init__(self, redis: Redis, label: str, owner: str, host: str) -> None:
        """`label` is the application's name in the file; `owner` is unique to this controller, `host` is for people."""
        self._redis = redis
        self._keys = (names.beat_lease(label), names.beat_runs(label))
        self._types = dict.fromkeys(self._keys, "hash")
        self._owner = owner
        self._host = host

    def ours(self, state: LeaseState) -> bool:
        """Whether this controller, or a former one with its data folder, holds it."""
        return state.owner == self._owner

    async def read(self) -> LeaseState:
        """How it is now."""
        async with bus_errors(self._redis, self._types):
            found = await self._redis.hmget(self._keys[0], ["owner", "host", "fence", "renewals"])
        owner, host, fence, renewals = cast("list[bytes | None]", found)
        try:
            return LeaseState((owner or b"").decode(), (host or b"").decode(), int(fence or 0), int(renewals or 0))
        except ValueError as error:
            await put_aside(self._redis, {self._keys[0]: ""}, f"it is no lease: {error}")
            raise BusMalformed(f"{self._keys[0]} was put aside: {error}") from error

    async def take(self, state: LeaseState, greatest: int) -> Grant | None:
        """Take it if it is free, ours, or exactly in this `state`; `greatest` is that of all known fences."""
        found = await self._run(_TAKE, self._host, greatest, state.fence, state.renewals)
        if not found:
            return None
        fence, runs, lock = cast("tuple[bytes, list[bytes], bytes]", found)
        times = {text(entry): number(at) for entry, at in zip(runs[::2], runs[1::2], strict=True)}
        known = {entry: at for entry, at in times.items() if entry is not None and at is not None}
        return Grant(int(fence), known, text(lock) or "")

    async def renew(self, fence: int, runs: EntryTimes, lock: str = "") -> Renewal:
        """Show that its holder lives, and note runs, and the lock of its scheduler if there is one."""
        flat = [word for entry, at in runs.items() for word in (entry, repr(at))]
        return Renewal(cast("int", await self._run(_RENEW, fence, self._host, lock, *flat)))

    async def claim(self, fence: int) -> bool:
        """Ask for leave to send an entry; false when another holds the lease."""
        return bool(await self._run(_CLAIM, fence))

    async def release(self, fence: int) -> None:
        """Let the next one have it at once."""
        await self._run(_RELEASE, fence)

    async def _run(self, script: str, *arguments: str | float) -> object:
        try:
            async with bus_errors(self._redis, self._types):
                return await self._redis.eval(_CURRENT + script, len(self._keys), *self._keys, self._owner, *arguments)
        except ResponseError as error:  # a script fails only at a value that is none of ours
            await put_aside(self._redis, {self._keys[0]: ""}, f"it is no lease: {error}")
            raise BusMalformed(f"{self._keys[0]} was put aside: {error}") from error
