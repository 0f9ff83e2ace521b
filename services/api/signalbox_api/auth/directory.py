"""Directory of credentials: in Redis first, in PostgreSQL second; a revocation in either place counts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from signalbox.errors import BusUnavailable, DatabaseUnavailable
from signalbox.service import Backoff
from signalbox_api.auth.credential import Credential
from signalbox_api.auth.credentials import (
    find_credential,
    forget_old_credentials,
    live_credentials,
    revoke_credentials,
)
from signalbox_api.auth.mirror import Mirror
from signalbox_api.auth.secret import Secret
from signalbox_api.auth.users import any_user
from signalbox_api.errors import CredentialsUnknown
from signalbox_api.record.database import QueryPool

log = logging.getLogger(__name__)

#: Seconds between two comparisons of Redis and PostgreSQL.
COMPARE_EVERY = 2.0
#: Seconds between two clean-ups of the tables.
FORGET_EVERY = 3600.0
#: Revocations that this process remembers by itself: a Redis that restarts may have lost the latest.
REMEMBERED = 10_000


class Directory:
    """Directory of the live credentials. Every request reads it, which costs one query of Redis."""

    def __init__(self, mirror: Mirror, accounts: QueryPool) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._revoked: dict[str, None] = {}
        self._unrecorded: set[str] = set()
        self._has_users = False

    async def has_users(self) -> bool:
        """Whether anybody can sign in, as far as can be told. It is asked in the record until there is a user."""
        if not self._has_users:
            try:
                self._has_users = await self._accounts.read(any_user)
            except DatabaseUnavailable:
                return True
        return self._has_users

    async def find(self, secret: Secret) -> Credential | None:
        """The live credential that a secret proves.

        Raises:
            CredentialsUnknown: neither Redis nor PostgreSQL answers.
        """
        if secret.id in self._revoked:
            return None
        mirrored = True
        try:
            found = await self._mirror.find(secret)
        except BusUnavailable:
            found, mirrored = None, False
        if found is None:
            found = await self._find_in_record(secret, mirrored=mirrored)
        return None if found is None or found == "revoked" or found.expired else found

    async def _find_in_record(self, secret: Secret, *, mirrored: bool) -> Credential | None:
        try:
            found = await self._accounts.read(lambda connection: find_credential(connection, secret.digest))
        except DatabaseUnavailable as error:
            known = "Redis does not know this credential" if mirrored else "Redis does not answer"
            raise CredentialsUnknown(f"It cannot be checked who you are: {known}, and {error}. Try again") from error
        if found and mirrored:
            await self.add(secret, found)
        return found

    async def add(self, secret: Secret, credential: Credential) -> None:
        """Put a credential into Redis; while Redis is away, PostgreSQL is read instead."""
        try:
            await self._mirror.put({secret.digest: credential})
        except BusUnavailable as error:
            log.warning("a credential could not be mirrored: %s", error)

    async def revoke(self, ids: Sequence[str]) -> None:
        """Revoke credentials, from the moment this returns.

        PostgreSQL records it later if it is away, and Redis again if it lost its memory meanwhile.

        Raises:
            BusUnavailable: Redis is away, so some api may still accept them; try again.
        """
        await self._mirror.revoke(ids)
        for one in ids:
            self._revoked[one] = None
        while len(self._revoked) > REMEMBERED:
            del self._revoked[next(iter(self._revoked))]
        self._unrecorded.update(ids)
        try:
            await self._record()
        except DatabaseUnavailable as error:
            log.warning("%d revocations will be recorded when PostgreSQL is back: %s", len(ids), error)

    async def _record(self) -> None:
        """Record the revocations in PostgreSQL."""
        ids = sorted(self._unrecorded | await self._mirror.unrecorded())
        if not ids:
            return
        digests = await self._accounts.write(lambda connection: revoke_credentials(connection, ids))
        self._unrecorded.difference_update(ids)
        await self._mirror.mark_recorded(ids, digests)

    async def synchronize(self) -> None:
        """Bring revocations into PostgreSQL, and live credentials into Redis.

        Raises:
            BusUnavailable, DatabaseUnavailable: try again.
        """
        if self._unrecorded - await self._mirror.unrecorded():
            await self._mirror.revoke(self._unrecorded)  # Redis has lost them
        await self._record()
        if run := await self._mirror.incomplete():
            known = await self._mirror.known()
            live = await self._accounts.read(live_credentials)
            await self._mirror.complete(known, live, run)
            log.info("Redis holds the %d live credentials", len(live))

    async def keep_synchronized(self) -> None:
        """Synchronize for ever."""
        await _repeat(self.synchronize, COMPARE_EVERY)

    async def keep_tidy(self) -> None:
        """Delete old credentials for ever."""
        await _repeat(lambda: self._accounts.write(forget_old_credentials), FORGET_EVERY)


async def _repeat(work: Callable[[], Awaitable[None]], every: float) -> None:
    backoff = Backoff(first=0.2, most=COMPARE_EVERY)
    while True:
        try:
            await work()
        except (BusUnavailable, DatabaseUnavailable) as error:
            log.debug("credentials: %s", error)
            await backoff.pause()
        else:
            backoff.reset()
            await asyncio.sleep(every)
