"""Loop of retention: begins periods, drops those that are due, and deletes old commands.

Of several reconcilers one does it at a time. A step that fails, for whatever reason, is tried again after growing
pauses, and ends neither the other steps nor the service: tasks end into the present period until the next one is there,
and what is due to go may stay a while longer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff
from signalbox_reconciler.partitions.periods import add_period, detach_period, drop_period, read_periods
from signalbox_reconciler.retention.audit import cut_trail, delete_commands
from signalbox_reconciler.retention.rules import Keep, to_begin, to_drop

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 30.0
#: Seconds of the first and the longest pause after a round that failed.
_PAUSE = (5.0, 600.0)
#: Seconds that one kind of step may take in a round, its locks included.
_STEP_WITHIN = 3600.0

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('signalbox retention'))"
_NOW = "SELECT now()"

#: Does one thing that is due, inside the caller's transaction; returns what, or an empty text.
Step = Callable[[Connection], Awaitable[str]]


class Retention:
    """Keeps what the settings say, in rounds."""

    def __init__(self, database: Database, keep: Keep, keep_commands: timedelta) -> None:
        self._database = database
        self._keep, self._keep_commands = keep, keep_commands

    async def run(self) -> None:
        """Run rounds until cancelled; the feeds log outages."""
        backoff = Backoff(*_PAUSE)
        while True:
            if await self.round():
                backoff.reset()
                await asyncio.sleep(EVERY)
            else:
                await backoff.pause()

    async def round(self) -> bool:
        """Do all that is due, each step in a transaction of its own; return whether each could be done.

        One that fails holds up no other.
        """
        begun, detached = await self._could_do(self._begin), await self._could_do(self._detach)
        dropped = [await self._could_do(partial(self._drop, period)) for period in await self._detached()]
        deleted, cut = await self._could_do(self._delete_commands), await self._could_do(self._cut_trail)
        return all((begun, detached, *dropped, deleted, cut))

    async def _could_do(self, step: Step) -> bool:
        try:
            async with asyncio.timeout(_STEP_WITHIN):
                while done := await self._do(step):
                    log.info("%s", done)
        except (DatabaseUnavailable, TimeoutError) as error:
            log.info("what is too old goes later: %s", error)
        except Exception:  # such as a view of somebody else on a partition; events must reach the record all the same
            log.exception("what is too old cannot go, and is tried again")
        else:
            return True
        return False

    async def _do(self, step: Step) -> str:
        async with self._database.transaction() as connection:
            return await step(connection) if await connection.fetchval(_ALONE) else ""

    async def _begin(self, connection: Connection) -> str:
        periods, now = await read_periods(connection), await connection.fetchval(_NOW)
        for status in to_begin(periods, self._keep, now):
            return f"began the period {await add_period(connection, status)} of {status} tasks"
        return ""

    async def _detach(self, connection: Connection) -> str:
        periods, now = await read_periods(connection), await connection.fetchval(_NOW)
        attached = [period for period in periods if not period.detached]
        for period in to_drop(attached, self._keep, now):
            await detach_period(connection, period)
            return f"the tasks of the period {period} have been kept long enough"
        return ""

    async def _detached(self) -> list[int]:
        try:
            async with self._database.connection() as connection:
                return [period.period for period in await read_periods(connection) if period.detached]
        except DatabaseUnavailable:
            return []  # they wait for the next round

    async def _drop(self, period: int, connection: Connection) -> str:
        for one in await read_periods(connection):
            if one.period == period and one.detached:  # or another reconciler has dropped it
                return f"dropped {await drop_period(connection, period)} tasks of the period {period}"
        return ""

    async def _delete_commands(self, connection: Connection) -> str:
        deleted = await delete_commands(connection, self._keep_commands)
        return f"deleted {deleted} commands of the audit trail" if deleted else ""

    async def _cut_trail(self, connection: Connection) -> str:
        removed = await cut_trail(connection, self._keep_commands)
        return f"removed {removed} lines of the trail" if removed else ""
