"""Throttle of sign-in: tries are counted in Redis before the password is checked, and not counted if it was right.

A source is an IPv4 address or a /64 of IPv6. Three counts are kept. That of a user from one source stops a guesser
early. Those of a source, and of a user from everywhere, hold only for sources from which the user has not signed in
before: whoever attacks an account from many places, or shares a person's network, locks out other strangers alone.
"""

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import put_aside
from signalbox.errors import BusMalformed
from signalbox_api.errors import TooManyTries
from signalbox_api.sources import source_of

#: Seconds after the first failure when the count begins anew.
WINDOW = 300
#: Tries within the window: of one user from one source, from one source, of one user.
PAIR_TRIES, SOURCE_TRIES, USER_TRIES = 10, 50, 100


class Throttle:
    """Counts tries; every count expires after WINDOW, which bounds what an attacker can make us store."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def count(self, user: str, address: str) -> int:
        """Count a try; return the seconds that one must wait who never signed in as this user from there; 0: none.

        Raises:
            TooManyTries: there were too many of this user from there; the password must not be checked.
            BusUnavailable: nothing can be counted, so nobody can sign in.
        """
        limits = _limits(user, source_of(address))
        async with self._counting(limits) as pipe:
            for key in limits:
                pipe.incr(key)
                pipe.expire(key, WINDOW, nx=True)
                pipe.ttl(key)
            replies = await pipe.execute()
        counts = zip(limits.values(), replies[0::3], replies[2::3], strict=True)
        own, *others = (max(1, int(left)) if count > limit else 0 for limit, count, left in counts)
        if own:
            raise too_many_tries(own)
        return max(others)

    async def uncount(self, user: str, address: str) -> None:
        """Take back a try, because the password was right."""
        pair, *others = _limits(user, source_of(address))
        async with self._counting(others) as pipe:
            pipe.delete(pair)
            for key in others:
                pipe.decr(key)
                pipe.expire(key, WINDOW, nx=True)
            await pipe.execute()

    @asynccontextmanager
    async def _counting(self, keys: Collection[str]) -> AsyncIterator[Pipeline]:
        """A transaction on counts; one that is no number begins anew."""
        try:
            types = dict.fromkeys(keys, "string")
            async with bus_errors(self._redis, types), self._redis.pipeline(transaction=True) as pipe:
                yield pipe
        except ResponseError as error:
            await put_aside(self._redis, dict.fromkeys(keys, ""), f"it is no count: {error}")
            raise BusMalformed(f"A count in Redis was put aside: {error}") from error


def too_many_tries(wait: int) -> TooManyTries:
    """The refusal of a try to sign in, for so many seconds."""
    return TooManyTries(f"Too many tries to sign in; wait {wait} seconds, then try again", wait)


def _limits(user: str, source: str) -> dict[str, int]:
    return {
        _key("pair", f"{source} {user}"): PAIR_TRIES,
        _key("address", source): SOURCE_TRIES,
        _key("user", user): USER_TRIES,
    }


def _key(kind: str, value: str) -> str:
    return f"signalbox:throttle:{kind}:{hashlib.sha256(value.encode()).hexdigest()[:32]}"
