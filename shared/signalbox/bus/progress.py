"""Progress of a consumer group: the age of the oldest entry that it has not handled, by the clock of Redis."""

from typing import cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus.connection import bus_errors

#: One step, so that the entries, the group and the time are of the same moment. XINFO's `lag` is not used: it is not
#: known after a trim.
_PROGRESS = """
local function field(row, name)
    for i = 1, #row, 2 do if row[i] == name then return row[i + 1] end end
end
local now = redis.call('TIME')
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
local oldest, after, idle = '', '-', -1
if groups.err == nil then
    for _, group in ipairs(groups) do
        if field(group, 'name') == ARGV[1] then
            after = '(' .. field(group, 'last-delivered-id')
            if field(group, 'pending') > 0 then oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2] end
            for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
                local ms = field(member, 'idle')
                if idle < 0 or ms < idle then idle = ms end
            end
        end
    end
end
if oldest == '' then
    local unread = redis.call('XRANGE', KEYS[1], after, '+', 'COUNT', 1)
    if #unread > 0 then oldest = unread[1][1] end
end
return {now[1], now[2], oldest, idle}
"""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a group at one moment; ages in seconds."""

    #: Of the oldest entry that no member has acknowledged; none: every entry is acknowledged.
    oldest: float | None
    #: Since a member last asked for entries; none: the group has no member.
    idle: float | None

    @property
    def behind(self) -> float:
        """For how long the group has been behind; 0 when it has handled every entry."""
        return self.oldest or 0.0


async def progress(redis: Redis, stream: str, group: str) -> Progress:
    """The progress of `group` on `stream`.

    Raises:
        BusUnavailable: Redis is away.
    """
    async with bus_errors(redis, {stream: "stream"}):
        answer = await redis.eval(_PROGRESS, 1, stream, group)
    seconds, microseconds, oldest, idle = cast("tuple[bytes, bytes, bytes, int]", answer)
    now = int(seconds) + int(microseconds) / 1e6
    return Progress(
        # A position begins with the milliseconds at which Redis took the entry.
        oldest=max(0.0, now - int(oldest.partition(b"-")[0]) / 1000) if oldest else None,
        idle=idle / 1000 if idle >= 0 else None,
    )
