"""Throttle of sign-in: tries are counted in Redis before the password is checked, and not counted if it was right.

A guesser at one address is stopped early. The limit on a user's name alone is high, so that a stranger cannot
easily lock somebody out, and only stops guesses that come from everywhere.
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

#: Seconds after the first failure when the count begins anew.
WINDOW = 300
#: Tries within the window: of one user from one address, from one address, of one user.
PAIR_TRIES, ADDRESS_TRIES, USER_TRIES = 10, 50, 100


class Throttle:
    """Counts tries; every count expires after WINDOW, which bounds what an attacker can make us store."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def count(self, user: str, address: str) -> None:
        """Count a try.

        Raises:
            TooManyTries: there were too many; the password must not be checked.
            BusUnavailable: nothing can be counted, so nobody can sign in.
        """
        limits = _limits(user, address)
        async with self._counting(limits) as pipe:
            for key in limits:
                pipe.incr(key)
                pipe.expire(key, WINDOW, nx=True)
                pipe.ttl(key)
            replies = await pipe.execute()
        counts = zip(limits.values(), replies[0::3], replies[2::3], strict=True)
        waits = [int(left) for limit, count, left in counts if count > limit]
        if waits:
            raise TooManyTries(
                f"Too many tries to sign in; wait {max(waits)} seconds, then try again", max(1, *waits, 1)
            )

    async def uncount(self, user: str, address: str) -> None:
        """Take back a try, because the password was right."""
        pair, *others = _limits(user, address)
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


def _limits(user: str, address: str) -> dict[str, int]:
    return {
        _key("pair", f"{address} {user}"): PAIR_TRIES,
        _key("address", address): ADDRESS_TRIES,
        _key("user", user): USER_TRIES,
    }


def _key(kind: str, value: str) -> str:
    return f"signalbox:throttle:{kind}:{hashlib.sha256(value.encode()).hexdigest()[:32]}"
