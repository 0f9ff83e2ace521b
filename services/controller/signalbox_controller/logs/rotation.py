"""Rotation of the logs of all processes, while a controller runs."""

import asyncio
import logging
from collections.abc import Sequence

from signalbox_controller.logs.logfile import LogFile

log = logging.getLogger(__name__)

#: Seconds between two rounds.
EVERY = 5.0


async def rotate(logs: Sequence[LogFile]) -> None:
    """Trim full logs in rounds, until cancelled; an error is logged once for each log."""
    failed: set[LogFile] = set()
    while True:
        for one in logs:
            try:
                if one.full:
                    await asyncio.to_thread(one.trim)
                    failed.discard(one)
            except OSError as error:
                if one not in failed:
                    failed.add(one)
                    log.error("%s grows beyond its limit: %s", one.path, error)  # noqa: TRY400 - the text says it all
        await asyncio.sleep(EVERY)
