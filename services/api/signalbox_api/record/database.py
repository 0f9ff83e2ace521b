"""Queries of PostgreSQL with a deadline, which fail at once while the server is known not to answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from signalbox.errors import DatabaseUnavailable, QueryTimeout
from signalbox.postgres.pool import Connection, Database
from signalbox.service import Backoff
from signalbox_api.errors import TooBroad

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two checks.
CHECK_EVERY = 1.0
#: Seconds for a query without which its caller fails: a list, a sign-in. A busy machine answers late, and late is
#: better than an error; so this is also how long a check waits until PostgreSQL counts as away.
READ_WAIT = 5.0
#: Seconds for a row without which its caller goes on: a cancel then asks the hosts alone.
FALLBACK_WAIT = 1.0
#: Seconds for a search, which consists of several queries and may wait for others.
SEARCH_WAIT = 2.0

TOO_BROAD = (
    "The search is too broad for a record of this size: it was given up."
    " Search for more characters, for a whole id, or together with fewer other filters"
)


class DatabaseHealth:
    """Health of PostgreSQL: checked every second, and after each query that fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._check_now = asyncio.Event()
        #: When the present check began, in seconds of the event loop.
        self._asked_at: float | None = None
        #: Error of the last check, or of a query that failed since; empty while PostgreSQL answers.
        self.error = ""

    @property
    def up(self) -> bool:
        """Whether the last check was answered, and no query failed since."""
        return not self.error

    def refusal(self, within: float) -> str:
        """Why a query that may take `within` seconds need not be tried; empty when it should be."""
        late = self._asked_at is not None and asyncio.get_running_loop().time() > self._asked_at + within
        return self.error or (_no_answer(within) if late else "")

    def failed(self, error: DatabaseUnavailable) -> None:
        """Take note of a query that failed; a late answer says little about the next query, and only starts a check."""
        if isinstance(error, QueryTimeout):
            return
        if not isinstance(error.__cause__, TimeoutError):
            self._down(error)
        self._check_now.set()

    async def watch(self) -> None:
        """Check PostgreSQL for ever."""
        backoff = Backoff(first=0.1, most=0.5)
        while True:
            await self.check()
            self._check_now.clear()
            if self.up:
                backoff.reset()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._check_now.wait(), CHECK_EVERY)
            else:
                await backoff.pause()

    async def check(self) -> None:
        """Check PostgreSQL once."""
        self._asked_at = asyncio.get_running_loop().time()
        try:
            await bounded(self._select(), READ_WAIT)
        except DatabaseUnavailable as error:
            self._down(error)
        else:
            if not self.up:
                log.info("PostgreSQL answers again")
            self.error = ""
        finally:
            self._asked_at = None

    def _down(self, error: DatabaseUnavailable) -> None:
        if self.up:
            log.warning("%s", error)
        self.error = str(error)

    async def _select(self) -> None:
        async with self._database.connection() as connection:
            await connection.fetchval("SELECT 1")


class QueryPool:
    """Connection pool for one kind of query, so that slow ones do not hold up urgent ones."""

    def __init__(self, database: Database, health: DatabaseHealth) -> None:
        self.database = database
        self.health = health

    async def read(self, query: Callable[[Connection], Awaitable[T]], within: float = READ_WAIT) -> T:
        """Run a query.

        Raises:
            DatabaseUnavailable: no answer came `within` so many seconds, or none can be expected.
        """
        return await self._guarded(self._read(query), within)

    async def write(self, work: Callable[[Connection], Awaitable[T]], within: float = READ_WAIT) -> T:
        """Run a transaction.

        Raises:
            DatabaseUnavailable: as above; the transaction may have been committed.
        """
        return await self._guarded(self._write(work), within)

    async def _read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.database.connection() as connection:
            return await query(connection)

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.database.transaction() as connection:
            return await work(connection)

    async def _guarded(self, work: Coroutine[Any, Any, T], within: float) -> T:
        if refusal := self.health.refusal(within):
            work.close()
            raise DatabaseUnavailable(refusal)
        try:
            return await bounded(work, within)
        except DatabaseUnavailable as error:
            self.health.failed(error)
            raise


class SearchPool(QueryPool):
    """Connection pool for searches, which may take too long, but hold up nobody except each other."""

    async def read(self, query: Callable[[Connection], Awaitable[T]], within: float = SEARCH_WAIT) -> T:
        """Run a search.

        Raises:
            TooBroad: it took too long, or those before it did.
            DatabaseUnavailable: PostgreSQL is away.
        """
        try:
            return await super().read(query, within)
        except DatabaseUnavailable as error:
            if isinstance(error, QueryTimeout) or (self.health.up and isinstance(error.__cause__, TimeoutError)):
                raise TooBroad(TOO_BROAD) from error
            raise


#: Work that was given up and has yet to end.
_abandoned: set[asyncio.Task[Any]] = set()


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
    raise DatabaseUnavailable(_no_answer(within)) from TimeoutError()


def _no_answer(within: float) -> str:
    return f"PostgreSQL did not answer within {within:g} s"


def _abandon(task: asyncio.Task[Any]) -> None:
    _abandoned.add(task)
    task.add_done_callback(_ended)
    task.cancel()


def _ended(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled() and (error := task.exception()):
        log.debug("a query that was given up ended with: %s", error)
