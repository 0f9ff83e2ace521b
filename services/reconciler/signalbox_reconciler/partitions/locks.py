"""A lock that holds up everybody: taken for a moment, or tried again."""

import asyncio

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, querying
from signalbox.service import Backoff
from signalbox_reconciler.partitions.leaves import TABLES

#: Milliseconds for which we wait, and everybody else behind us: less than anyone notices.
_WAIT_MS = 50
#: Seconds of the first and the longest pause between two attempts, and after which it is given up.
_PAUSE, _WITHIN = (0.05, 1.0), 30.0

_LOCK = f"""
SET LOCAL lock_timeout = '{_WAIT_MS}ms';
LOCK TABLE {", ".join(TABLES)} IN ACCESS EXCLUSIVE MODE;
SET LOCAL lock_timeout = 0;
"""


async def lock_tables(connection: Connection, within: float = _WITHIN) -> None:
    """Lock tasks and their logs against everybody until the end of the caller's transaction.

    Raises:
        DatabaseUnavailable: they are in use for longer than `within` seconds.
    """
    backoff, loop = Backoff(*_PAUSE), asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        await connection.execute("SAVEPOINT locking")
        try:
            with querying():
                await connection.execute(_LOCK)
        except DatabaseUnavailable:
            if loop.time() > deadline:
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT locking")
        else:
            return
        await backoff.pause()
