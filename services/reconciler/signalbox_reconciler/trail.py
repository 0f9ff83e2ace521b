"""Trail of who did what: its lines are chained in rounds, beside everything else; nobody waits for that."""

import asyncio
import logging
from typing import NamedTuple

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff
from signalbox.settings import Settings
from signalbox.trail.start import note_settings

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 0.5
#: Lines of one transaction.
MOST = 500
#: Where to begin when nothing is known: all lines are looked at.
BEGIN = "0"
_PAUSE = (0.5, 10.0)


class Chained(NamedTuple):
    """What one transaction has chained."""

    lines: int
    #: From which transaction on there may be lines that are not chained.
    since: str


async def chain_lines(connection: Connection, since: str, most: int = MOST) -> Chained:
    """Chain some lines, unless another reconciler does so at this moment."""
    row = await connection.fetchrow(
        "SELECT since::text AS since, chained FROM chain_trail($1::text::xid8, $2)", since, most
    )
    return Chained(row["chained"], row["since"]) if row else Chained(0, since)


class Trail:
    """Chains the lines that all services append."""

    def __init__(self, database: Database, settings: Settings | None = None) -> None:
        """With `settings`, those of this reconciler are noted first."""
        self._database = database
        self._since = BEGIN
        self._to_note = settings

    async def run(self) -> None:
        """Run rounds until cancelled; the feeds log outages."""
        backoff = Backoff(*_PAUSE)
        while True:
            try:
                await self.round()
            except DatabaseUnavailable as error:
                log.debug("lines of the trail are chained later: %s", error)
                await backoff.pause()
            else:
                backoff.reset()
                await asyncio.sleep(EVERY)

    async def round(self) -> None:
        """Chain all lines that are there, the settings of this reconciler among them.

        Raises:
            DatabaseUnavailable: try again; what was chained stays.
        """
        if self._to_note is not None:
            async with self._database.connection() as connection:
                await note_settings(connection, "reconciler", self._to_note)
            self._to_note = None
        chained = MOST
        while chained >= MOST:
            async with self._database.connection() as connection:
                chained, self._since = await chain_lines(connection, self._since)
