"""What no message will say: silence."""

import asyncio
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.publisher import publish_changes
from signalbox.errors import BusUnavailable, DatabaseUnavailable
from signalbox.messages.views import Change
from signalbox.postgres.pool import Database
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import Shown
from signalbox_reconciler.store.silence import SILENCE, looks
from signalbox_reconciler.trim import forget_members, trim

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 1.0


class Sweep:
    """Looks at the record in rounds; several reconcilers may do so side by side.

    `abreast_since` tells since when (monotonic seconds) events are read as soon as they are said, or none: while
    we do not listen ourselves, nobody else is silent.
    """

    def __init__(
        self,
        redis: Redis,
        database: Database,
        abreast_since: Callable[[], float | None],
        intents: Intents,
        *,
        lost_after: float,
        remember_cancelled: float,
    ) -> None:
        """For the durations, in seconds, see `looks`."""
        self._looks = looks(lost_after, remember_cancelled)
        self._intents = intents
        self._redis = redis
        self._database = database
        self._abreast_since = abreast_since
        self._untold: dict[tuple[str, str], Change] = {}

    async def run(self) -> None:
        """Sweep until cancelled; an outage is noticed and told by the feeds."""
        while True:
            try:
                await self.round()
            except (BusUnavailable, DatabaseUnavailable) as error:
                log.debug("a round was left out: %s", error)
            await asyncio.sleep(EVERY)

    async def round(self) -> None:
        """Look once."""
        if self._listening():
            for look in self._looks:
                seen = Shown()
                async with self._database.transaction() as connection:
                    await look(connection, seen)
                self._untold.update({(change.kind, change.key): change for change in seen.changes()})
        if self._untold:
            await publish_changes(self._redis, self._untold.values())
            self._untold.clear()
        await self._intents.restore()
        trimmed = await trim(self._redis, names.EVENTS)
        log.debug("swept; events that everybody has handled, removed from the bus: %d", trimmed)
        for stream in (names.EVENTS, names.COMMANDS):
            await forget_members(self._redis, stream, names.RECONCILER_GROUP)

    def _listening(self) -> bool:
        since = self._abreast_since()
        return since is not None and time.monotonic() - since > SILENCE
