"""Credentials in Redis, so that who may act does not depend on PostgreSQL.

signalbox:credential:<digest>     what may act, as JSON; sessions expire by themselves
signalbox:revoked:<id>            a tombstone: it wins over whatever the line above says
signalbox:revocations             ids that PostgreSQL has not heard of yet
signalbox:credentials:mirrored    the run of the Redis server for which all this was last made complete
"""

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus.connection import speaking
from signalbox.messages.base import utc_now
from signalbox_api.auth.credential import Credential
from signalbox_api.auth.secret import Secret

_CREDENTIAL = "signalbox:credential:"
_REVOKED = "signalbox:revoked:"
_WAITING = "signalbox:revocations"
_MIRRORED = "signalbox:credentials:mirrored"

#: Seconds for which a tombstone stays; the credential itself is deleted as soon as PostgreSQL knows of the end.
TOMBSTONE_TTL = 400 * 24 * 3600
#: Keys for one command.
_BATCH = 500


class Mirror:
    """The credentials that Redis knows. Every method raises BusUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, secret: Secret) -> Credential | Literal["revoked"] | None:
        """What Redis knows of a secret; none: nothing, so PostgreSQL must be asked."""
        async with speaking():
            found, tombstone = await self._redis.mget(_CREDENTIAL + secret.digest, _REVOKED + secret.id)
        if tombstone is not None:
            return "revoked"
        try:
            return msgspec.json.decode(found, type=Credential) if found else None
        except msgspec.DecodeError:  # of another release
            return None

    async def put(self, credentials: Mapping[str, Credential]) -> None:
        """Keep credentials, by digest."""
        now = utc_now()
        async with speaking(), self._redis.pipeline(transaction=False) as pipe:
            for digest, credential in credentials.items():
                left = (credential.expires_at - now).total_seconds() if credential.expires_at else None
                ttl = None if left is None else max(1, int(left))
                pipe.set(_CREDENTIAL + digest, msgspec.json.encode(credential), ex=ttl)
            await pipe.execute()

    async def bury(self, ids: Iterable[str]) -> None:
        """Let these act no more, and remember to tell PostgreSQL."""
        async with speaking(), self._redis.pipeline(transaction=True) as pipe:
            for one in ids:
                pipe.set(_REVOKED + one, b"1", ex=TOMBSTONE_TTL)
                pipe.sadd(_WAITING, one)
            await pipe.execute()

    async def waiting(self) -> set[str]:
        """The ids that PostgreSQL has not heard of yet."""
        async with speaking():
            return {cast("bytes", one).decode() for one in await self._redis.smembers(_WAITING)}

    async def settle(self, ids: Iterable[str], digests: Iterable[str]) -> None:
        """PostgreSQL knows that these have ended: forget them, except for the tombstones."""
        async with speaking(), self._redis.pipeline(transaction=True) as pipe:
            for digest in digests:
                pipe.delete(_CREDENTIAL + digest)
            for one in ids:
                pipe.srem(_WAITING, one)
            await pipe.execute()

    async def incomplete(self) -> str | None:
        """The run of the server, when it lost memory or is another one than when `complete` was called."""
        async with speaking():
            run = str((await self._redis.info("server"))["run_id"])
            mirrored = await self._redis.get(_MIRRORED)
        return None if mirrored == run.encode() else run

    async def known(self) -> set[str]:
        """The digests that Redis knows."""
        async with speaking():
            keys = [key async for key in self._redis.scan_iter(match=_CREDENTIAL + "*", count=_BATCH)]
        return {cast("bytes", key).decode().removeprefix(_CREDENTIAL) for key in keys}

    async def complete(self, known: set[str], live: Mapping[str, Credential], run: str) -> None:
        """Make what Redis knows the same as `live`: what it forgot comes back, what came back from the dead goes.

        `known` must be older than `live`, or whoever signs in between the two is taken for dead.
        """
        await self.settle((), known - live.keys())
        await self.put(live)
        async with speaking():
            await self._redis.set(_MIRRORED, run)
