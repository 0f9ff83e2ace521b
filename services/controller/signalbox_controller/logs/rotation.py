"""Rotation of the logs of all processes, while a controller runs."""

import asyncio
import logging
from collections.abc import Iterable

from signalbox_controller.logs.logfile import LogFile

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 5.0


class Rotation:
    """Trims full logs, in rounds."""

    def __init__(self, logs: Iterable[LogFile], every: float = EVERY) -> None:
        self._logs = tuple(logs)
        self._every = every
        #: Logs that could not be trimmed; the error is logged once.
        self._failed: set[LogFile] = set()

    async def run(self) -> None:
        """Trim until cancelled."""
        while True:
            for one in self._logs:
                if one.full:
                    await self._trim(one)
            await asyncio.sleep(self._every)

    async def _trim(self, one: LogFile) -> None:
        try:
            await asyncio.to_thread(one.trim)
        except OSError as error:
            if one not in self._failed:
                self._failed.add(one)
                log.error("%s grows beyond its limit: %s", one.path, error)  # noqa: TRY400 - the text says it all
        else:
            self._failed.discard(one)
