"""Finding and ending credentials: Redis first, PostgreSQL second, and an end wins wherever it is known."""

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
from signalbox_api.errors import CredentialsUnknown
from signalbox_api.record.database import QueryPool

log = logging.getLogger(__name__)

#: Seconds between two looks at whether Redis and PostgreSQL agree.
SETTLE_EVERY = 2.0
#: Seconds between two clean-ups of the tables.
FORGET_EVERY = 3600.0
#: Ends that this process remembers by itself, for the moment in which Redis comes back with an old memory.
REMEMBERED = 10_000


class Directory:
    """Who may act. Used by every request, so it costs one look into Redis."""

    def __init__(self, mirror: Mirror, accounts: QueryPool) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._ended: dict[str, None] = {}
        self._untold: set[str] = set()

    async def find(self, secret: Secret) -> Credential | None:
        """The live credential that a secret proves.

        Raises:
            CredentialsUnknown: neither Redis nor PostgreSQL can tell.
        """
        if secret.id in self._ended:
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
            await self.introduce(secret, found)
        return found

    async def introduce(self, secret: Secret, credential: Credential) -> None:
        """Let Redis know of a credential; when it cannot be told now, PostgreSQL will be asked instead."""
        try:
            await self._mirror.put({secret.digest: credential})
        except BusUnavailable as error:
            log.warning("a credential could not be mirrored: %s", error)

    async def end(self, ids: Sequence[str]) -> None:
        """Let these act no more, from the moment this returns.

        While PostgreSQL is away it is told later; a Redis that lost its memory meanwhile is told again.

        Raises:
            BusUnavailable: Redis is away, so it is not certain that they are ended everywhere; try again.
        """
        await self._mirror.bury(ids)
        for one in ids:
            self._ended[one] = None
        while len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._untold.update(ids)
        try:
            await self._tell()
        except DatabaseUnavailable as error:
            log.warning("%d ended credentials will be recorded when PostgreSQL is back: %s", len(ids), error)

    async def _tell(self) -> None:
        """Tell PostgreSQL of what has ended."""
        ids = sorted(self._untold | await self._mirror.waiting())
        if not ids:
            return
        digests = await self._accounts.write(lambda connection: revoke_credentials(connection, ids))
        self._untold.difference_update(ids)
        await self._mirror.settle(ids, digests)

    async def settle(self) -> None:
        """Make Redis and PostgreSQL agree.

        Raises:
            BusUnavailable, DatabaseUnavailable: try again.
        """
        if self._untold - await self._mirror.waiting():
            await self._mirror.bury(self._untold)  # Redis has forgotten
        await self._tell()
        if run := await self._mirror.incomplete():
            known = await self._mirror.known()
            live = await self._accounts.read(live_credentials)
            await self._mirror.complete(known, live, run)
            log.info("Redis knows the %d credentials that may act", len(live))

    async def keep_settled(self) -> None:
        """Settle, again and again."""
        await _repeat(self.settle, SETTLE_EVERY)

    async def keep_tidy(self) -> None:
        """Delete what was over long ago, again and again."""
        await _repeat(lambda: self._accounts.write(forget_old_credentials), FORGET_EVERY)


async def _repeat(work: Callable[[], Awaitable[None]], every: float) -> None:
    backoff = Backoff(first=0.2, most=SETTLE_EVERY)
    while True:
        try:
            await work()
        except (BusUnavailable, DatabaseUnavailable) as error:
            log.debug("not settled: %s", error)
            await backoff.pause()
        else:
            backoff.reset()
            await asyncio.sleep(every)
