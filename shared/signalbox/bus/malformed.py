"""Malformed values in Redis: what none of us wrote is put aside, with the reason among the dead letters of its key.

A key of another type blocks everybody who reads or writes it, and cannot heal by itself. It is renamed, so that a
person can look at it, and the key begins anew, as after Redis was emptied.
"""

import contextlib
import logging
from collections.abc import Mapping
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.typing import EncodableT, FieldT

from signalbox.bus import names

log = logging.getLogger(__name__)

#: In the error of Redis, also in that of a script or a pipeline.
WRONG_TYPE = "WRONGTYPE"
#: Entries kept on a dead-letter stream.
DEAD_LENGTH = 10_000
#: Seconds for which a value that was put aside is kept.
KEPT_FOR = 7 * 86400

_STREAMS = (names.EVENTS, names.COMMANDS, names.CHANGES, names.CANCELLED_LATELY, names.WAITING)
#: The types of the keys that are always there.
TYPES: Mapping[str, str] = {
    **dict.fromkeys((names.CANCELLED, names.ALLOWED, names.PRESENCE, names.NODES), "zset"),
    **dict.fromkeys(_STREAMS, "stream"),
    **{names.dead(stream): "stream" for stream in _STREAMS},
    names.RESTARTING: "string",
}

#: ARGV: the bound of a dead-letter stream, the seconds; then for each key its type (empty: put it aside in any case),
#: its name when put aside, its dead-letter stream, and the reason.
_PUT_ASIDE = """
local function aside(key, to)
    redis.call('RENAME', key, to)
    redis.call('EXPIRE', to, ARGV[2])
end
local done = {}
for i, key in ipairs(KEYS) do
    local wanted, to, dead, reason = unpack(ARGV, 4 * i - 1, 4 * i + 2)
    local found = redis.call('TYPE', key)['ok']
    if found ~= 'none' and found ~= wanted then
        aside(key, to)
        local of_dead = redis.call('TYPE', dead)['ok']
        if of_dead ~= 'none' and of_dead ~= 'stream' then aside(dead, dead .. ':malformed') end
        reason = reason ~= '' and reason or ('it was of type ' .. found .. ', not ' .. wanted)
        redis.call('XADD', dead, 'MAXLEN', '~', ARGV[1], '*', 'data', to, 'reason', reason, 'position', '')
        done[#done + 1] = key .. ': ' .. reason
    end
end
return done
"""


async def put_aside(redis: Redis, types: Mapping[str, str], reason: str = "") -> None:
    """Put aside those of these keys that are of another type; an empty type stands for any value, with a `reason`."""
    arguments: list[str | int] = [DEAD_LENGTH, KEPT_FOR]
    for key, kind in types.items():
        arguments += [kind, names.set_aside(key), names.dead(key), reason]
    try:
        found = await redis.eval(_PUT_ASIDE, len(types), *types, *arguments)
        await _log(redis, cast("list[bytes]", found))
    except (RedisError, OSError) as error:
        log.warning("A malformed key in Redis could not be put aside: %s", error)


async def _log(redis: Redis, put_aside: list[bytes]) -> None:
    for done in put_aside:
        log.error("Put aside in Redis, as none of us wrote it: %s", done.decode(errors="replace"))
        if done.startswith(f"{names.CANCELLED}: ".encode()):
            await redis.delete(names.CANCELLED_LATELY)  # so that all who follow it write again what is missing


async def put_aside_wrong_types(redis: Redis, more: Mapping[str, str]) -> None:
    """Put aside all keys that are of another type than ours: those that are always there, and `more`."""
    await put_aside(redis, {**TYPES, **more})


async def add_dead_letter(redis: Redis, stream: str, data: bytes, reason: str) -> None:
    """Add an entry that nobody can read to the dead letters of `stream`; without Redis the log alone has it."""
    log.error("%s: an entry goes to the dead letters: %s: %r", stream, reason, data[:100])
    fields: dict[FieldT, EncodableT] = {"data": data, "reason": reason, "position": b""}
    with contextlib.suppress(RedisError, OSError):
        await redis.xadd(names.dead(stream), fields, maxlen=DEAD_LENGTH, approximate=True)


def text(value: bytes) -> str | None:
    """The text of a value from Redis; None, and a line in the log, for one that is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        log.warning("Ignored in Redis, as it is no text: %r", value[:100])
        return None


def number(value: bytes) -> float | None:
    """The number in a value from Redis; None, and a line in the log, for one that is none."""
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if abs(found) < MOST:  # neither infinite nor nan
        return found
    log.warning("Ignored in Redis, as it is no number of ours: %r", value[:100])
    return None


#: More than any second of the epoch, or count, that we write.
MOST = 2**53
