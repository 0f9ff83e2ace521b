"""Mirror of the credentials in Redis, so that a request is authenticated without PostgreSQL.

signalbox:credential:<digest>     a live credential as JSON; sessions expire by themselves
signalbox:revoked:<id>            a tombstone, which overrides the credential
signalbox:revocations             revoked ids that PostgreSQL has not recorded yet
signalbox:credentials:mirrored    the run of the Redis server for which the mirror was last made complete
"""

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import text
from signalbox.messages.base import utc_now
from signalbox_api.auth.credential import Credential
from signalbox_api.auth.secret import Secret

_CREDENTIAL = "signalbox:credential:"
_REVOKED = "signalbox:revoked:"
_WAITING = "signalbox:revocations"
_MIRRORED = "signalbox:credentials:mirrored"
_TYPES = {_WAITING: "set", _MIRRORED: "string"}

#: Seconds for which a tombstone stays; the credential is deleted as soon as PostgreSQL has recorded the revocation.
TOMBSTONE_TTL = 400 * 24 * 3600
#: Keys for one command.
_BATCH = 500


class Mirror:
    """Mirror of the credentials. Every method raises BusUnavailable when Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def find(self, secret: Secret) -> Credential | Literal["revoked"] | None:
        """The credential of a secret; None: PostgreSQL must be read."""
        async with bus_errors(self._redis, _TYPES):
            found, tombstone = await self._redis.mget(_CREDENTIAL + secret.digest, _REVOKED + secret.id)
        if tombstone is not None:
            return "revoked"
        try:
            return msgspec.json.decode(found, type=Credential) if found else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # of another release, or malformed
            return None

    async def put(self, credentials: Mapping[str, Credential]) -> None:
        """Write credentials, by digest."""
        now = utc_now()
        async with bus_errors(self._redis, _TYPES), self._redis.pipeline(transaction=False) as pipe:
            for digest, credential in credentials.items():
                left = (credential.expires_at - now).total_seconds() if credential.expires_at else None
                ttl = None if left is None else max(1, int(left))
                pipe.set(_CREDENTIAL + digest, msgspec.json.encode(credential), ex=ttl)
            await pipe.execute()

    async def revoke(self, ids: Iterable[str]) -> None:
        """Revoke credentials; they stay `unrecorded` until PostgreSQL has them."""
        async with bus_errors(self._redis, _TYPES), self._redis.pipeline(transaction=True) as pipe:
            for one in ids:
                pipe.set(_REVOKED + one, b"1", ex=TOMBSTONE_TTL)
                pipe.sadd(_WAITING, one)
            await pipe.execute()

    async def unrecorded(self) -> set[str]:
        """The revoked ids that PostgreSQL has not recorded yet."""
        async with bus_errors(self._redis, _TYPES):
            waiting = cast("set[bytes]", await self._redis.smembers(_WAITING))
        return set(filter(None, map(text, waiting)))

    async def mark_recorded(self, ids: Iterable[str], digests: Iterable[str]) -> None:
        """Delete revoked credentials that PostgreSQL has recorded; the tombstones stay."""
        async with bus_errors(self._redis, _TYPES), self._redis.pipeline(transaction=True) as pipe:
            for digest in digests:
                pipe.delete(_CREDENTIAL + digest)
            for one in ids:
                pipe.srem(_WAITING, one)
            await pipe.execute()

    async def incomplete(self) -> str | None:
        """The run of the server, if it is another one than at the last `complete`; else None."""
        async with bus_errors(self._redis, _TYPES):
            run = str((await self._redis.info("server"))["run_id"])
            mirrored = await self._redis.get(_MIRRORED)
        return None if mirrored == run.encode() else run

    async def known(self) -> set[str]:
        """The digests of the credentials in Redis."""
        async with bus_errors(self._redis, _TYPES):
            keys = [key async for key in self._redis.scan_iter(match=_CREDENTIAL + "*", count=_BATCH)]
        return {key.removeprefix(_CREDENTIAL) for key in filter(None, map(text, keys))}

    async def complete(self, known: set[str], live: Mapping[str, Credential], run: str) -> None:
        """Make the mirror the same as `live`, given the digests `known` in Redis.

        `known` must be older than `live`, or a session that begins between the two is deleted.
        """
        await self.mark_recorded((), known - live.keys())
        await self.put(live)
        async with bus_errors(self._redis, _TYPES):
            await self._redis.set(_MIRRORED, run)
