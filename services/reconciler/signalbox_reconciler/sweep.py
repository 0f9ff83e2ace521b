"""Sweep of the record in rounds: acts on what no event reports, such as silent hosts and deadlines that passed."""

import asyncio
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.presence import forget, keep_known
from signalbox.bus.publisher import publish_changes
from signalbox.bus.waiting import ask
from signalbox.errors import BusUnavailable, DatabaseUnavailable
from signalbox.messages.views import Change
from signalbox.postgres.pool import Database
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.partitions.placing import settle
from signalbox_reconciler.store import ChangedViews
from signalbox_reconciler.store.checks import HOST_TIMEOUT, Check, checks, fold_counts
from signalbox_reconciler.store.forgotten import gone_hosts, missed_hosts, welcome
from signalbox_reconciler.store.waiting import begin_round
from signalbox_reconciler.trim import forget_members, trim

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 1.0


class Sweep:
    """Runs the checks of the record in rounds; several reconcilers may do so side by side.

    `caught_up_since` returns the monotonic time since which events are read as soon as they are published, or None.
    While our own feed lags, no host counts as silent.
    """

    def __init__(
        self,
        redis: Redis,
        database: Database,
        caught_up_since: Callable[[], float | None],
        intents: Intents,
        *,
        lost_after: float,
        forget_after: float,
        remember_cancelled: float,
    ) -> None:
        """For the durations, in seconds, see `store.checks.checks`."""
        self._checks = checks(lost_after, forget_after, remember_cancelled)
        self._intents = intents
        self._redis = redis
        self._database = database
        self._caught_up_since = caught_up_since
        self._unpublished: dict[tuple[str, str], Change] = {}
        #: The checks that failed the last time, each with the error that was logged.
        self._failing: dict[Check, str] = {}

    async def run(self) -> None:
        """Sweep until cancelled; the feeds log outages."""
        while True:
            try:
                await self.round()
            except (BusUnavailable, DatabaseUnavailable) as error:
                log.debug("skipped a round: %s", error)
            await asyncio.sleep(EVERY)

    async def round(self) -> None:
        """Run every check once."""
        await self._publish()
        async with self._database.connection() as connection:
            await fold_counts(connection)
        if self._caught_up():
            for check in self._checks:
                await self._run(check)
                await self._publish()
            await self._ask()
            await self._publish_absent()
        await self._intents.restore()
        trimmed = await trim(self._redis, names.EVENTS)
        log.debug("swept; removed %d events that every group has handled from the bus", trimmed)
        for stream in (names.EVENTS, names.COMMANDS):
            await forget_members(self._redis, stream, names.RECONCILER_GROUP)

    async def _run(self, check: Check) -> None:
        """Run a check; one that fails is tried again in the next round, and holds up nothing else."""
        changed = ChangedViews()
        try:
            async with self._database.transaction() as connection:
                await check(connection, changed)
                await settle(connection, changed.to_settle())
        except (BusUnavailable, DatabaseUnavailable):
            raise
        except Exception as error:  # such as a row of somebody else; events must be recorded all the same
            if self._failing.get(check) != repr(error):
                log.exception("a check of the record failed, and is tried again")
            self._failing[check] = repr(error)
        else:
            self._failing.pop(check, None)
            self._unpublished.update({(change.kind, change.key): change for change in changed.changes()})

    async def _publish(self) -> None:
        """Publish at once: an event that is written meanwhile must not be shown before what it has replaced."""
        if self._unpublished:
            await publish_changes(self._redis, self._unpublished.values())
            self._unpublished.clear()

    async def _ask(self) -> None:
        """Ask the hosts about waiting tasks; a question that is lost is asked again."""
        async with self._database.transaction() as connection:
            question = await begin_round(connection)
        if question is not None:
            await ask(self._redis, question)

    async def _publish_absent(self) -> None:
        """Keep absent hosts where something may run known on the bus; remove from it those that are gone.

        Those that are back are welcomed.
        """
        async with self._database.connection() as connection:
            gone, missed = await gone_hosts(connection), await missed_hosts(connection)
        if missed:
            await keep_known(self._redis, missed)
        if gone and (back := await forget(self._redis, gone)):
            async with self._database.transaction() as connection:
                await welcome(connection, back)

    def _caught_up(self) -> bool:
        since = self._caught_up_since()
        return since is not None and time.monotonic() - since > HOST_TIMEOUT
