"""Queries with a deadline, which fail at once while PostgreSQL is known to be down."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from signalbox.errors import DatabaseUnavailable
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks at whether PostgreSQL answers, and for one look.
LOOK_EVERY = 1.0
LOOK_WAIT = 1.0
#: Seconds for a question that a person waits for, and for one that a cancel waits for.
READ_WAIT = 5.0
URGENT_WAIT = 1.0


class DatabaseHealth:
    """Health of PostgreSQL: checked every second, and set at once by a query that fails in between."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._why = ""
        self._look_now = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether it answered when last asked."""
        return not self._why

    @property
    def why(self) -> str:
        """What was wrong when it did not."""
        return self._why

    def lost(self, error: DatabaseUnavailable) -> None:
        """Note that a query failed; no other waits for PostgreSQL until a check succeeds."""
        slow = isinstance(error.__cause__, TimeoutError)
        if self.up and not slow:  # a slow query says little about the next one: check
            log.warning("%s", error)
            self._why = str(error)
        self._look_now.set()

    async def watch(self) -> None:
        """Check it every second; sooner after a failure."""
        backoff = Backoff(first=0.1, most=0.5)
        while True:
            await self.look()
            self._look_now.clear()
            if self.up:
                backoff.reset()
                await _either(self._look_now.wait(), LOOK_EVERY)
            else:
                await backoff.pause()

    async def look(self) -> None:
        """Check it once."""
        try:
            await bounded(self._ask(), LOOK_WAIT)
        except DatabaseUnavailable as error:
            if self.up:
                log.warning("%s", error)
            self._why = str(error)
        else:
            if not self.up:
                log.info("PostgreSQL answers again")
            self._why = ""

    async def _ask(self) -> None:
        async with self._database.connection() as connection:
            await connection.fetchval("SELECT 1")


class QueryPool:
    """Connection pool for one kind of query, so that slow ones do not hold up urgent ones."""

    def __init__(self, database: Database, health: DatabaseHealth) -> None:
        self._database = database
        self.health = health

    async def ask(self, question: Callable[[Connection], Awaitable[T]], within: float = READ_WAIT) -> T:
        """Run a query.

        Raises:
            DatabaseUnavailable: none came `within` so many seconds, or PostgreSQL is known to be away.
        """
        return await self._guarded(self._asking(question), within)

    async def change(self, work: Callable[[Connection], Awaitable[T]], within: float = READ_WAIT) -> T:
        """Run a transaction.

        Raises:
            DatabaseUnavailable: as above; it is not certain that nothing was done.
        """
        return await self._guarded(self._changing(work), within)

    async def _asking(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._database.connection() as connection:
            return await question(connection)

    async def _changing(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._database.transaction() as connection:
            return await work(connection)

    async def _guarded(self, work: Coroutine[Any, Any, T], within: float) -> T:
        if not self.health.up:
            work.close()
            raise DatabaseUnavailable(self.health.why)
        try:
            return await bounded(work, within)
        except DatabaseUnavailable as error:
            self.health.lost(error)
            raise


#: What was given up and still tidies up after itself.
_leaving: set[asyncio.Task[Any]] = set()


async def bounded(work: Coroutine[Any, Any, T], within: float) -> T:
    """Await `work` for so many seconds and not one more: to give up on a dead server can itself take long.

    Raises:
        DatabaseUnavailable: it took longer; it goes on to end in the background.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=within)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if done:
        return task.result()
    _abandon(task)
    raise DatabaseUnavailable(f"PostgreSQL did not answer within {within:g} s") from TimeoutError()


def _abandon(task: asyncio.Task[Any]) -> None:
    _leaving.add(task)
    task.add_done_callback(_left)
    task.cancel()


def _left(task: asyncio.Task[Any]) -> None:
    _leaving.discard(task)
    if not task.cancelled() and (error := task.exception()):
        log.debug("a question that was given up ended with: %s", error)


async def _either(event: Coroutine[Any, Any, Any], seconds: float) -> None:
    try:
        await asyncio.wait_for(event, seconds)
    except TimeoutError:
        return
