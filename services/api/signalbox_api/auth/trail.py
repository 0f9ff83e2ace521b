"""Trail of the api: what belongs to no transaction waits here until PostgreSQL has it, in bounded memory.

Changes of users and tokens, and sign-ins, are appended in their own transactions instead; see `auth.lines`.
"""

import asyncio
import logging
from collections import deque

from signalbox.errors import DatabaseUnavailable
from signalbox.messages.base import utc_now
from signalbox.service import Backoff
from signalbox.settings import Settings
from signalbox.trail.append import NewLine, append_all
from signalbox.trail.start import note_settings
from signalbox_api.auth.refusals import Refusals, Refused
from signalbox_api.record.database import QueryPool

log = logging.getLogger(__name__)

#: Seconds between two writes.
EVERY = 1.0
#: Lines that wait; while PostgreSQL is away, refusals come to a hundred a minute at most.
WAITING = 10_000
#: Lines of one transaction.
AT_ONCE = 500


class Trail:
    """Lines of this api on their way to PostgreSQL."""

    def __init__(self, accounts: QueryPool, settings: Settings) -> None:
        """The settings are noted first."""
        self._accounts = accounts
        self._to_note: Settings | None = settings
        self._refusals = Refusals()
        self._waiting: deque[NewLine] = deque()
        self._dropped = 0

    def refused(self, refused: Refused, message: str) -> None:
        """Note a request that was refused; those that repeat are counted."""
        self._refusals.note(refused, message, utc_now())

    def add(self, line: NewLine) -> None:
        """Append a line soon; beyond the bound it is only counted."""
        if len(self._waiting) >= WAITING:
            self._dropped += 1
        else:
            self._waiting.append(line)

    async def run(self) -> None:
        """Write what waits, for ever."""
        backoff = Backoff(EVERY, 10.0)
        while True:
            try:
                await self.write()
            except DatabaseUnavailable as error:
                log.debug("lines of the trail are written later: %s", error)
                await backoff.pause()
            else:
                backoff.reset()
                await asyncio.sleep(EVERY)

    async def write(self, *, all_of_it: bool = False) -> None:
        """Write what is due; `all_of_it` also what is still counted.

        Raises:
            DatabaseUnavailable: try again; what was not written waits.
        """
        for line in self._refusals.rest() if all_of_it else self._refusals.due(utc_now()):
            self.add(line)
        if (settings := self._to_note) is not None:
            await self._accounts.write(lambda connection: note_settings(connection, "api", settings))
            self._to_note = None
        while self._waiting:
            batch = list(self._waiting)[:AT_ONCE]
            await self._accounts.write(lambda connection, lines=batch: append_all(connection, lines))  # type: ignore[misc]
            for _ in batch:
                self._waiting.popleft()
        if dropped := self._dropped:
            line = NewLine(kind="lost", who="service:api", details={"lines": dropped}, outcome="lost")
            await self._accounts.write(lambda connection: append_all(connection, [line]))
            self._dropped -= dropped
