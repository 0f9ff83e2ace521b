"""Pool of connections to PostgreSQL, which neither hang nor hide that the server is away.

The driver has no types of its own, so this is the only module that imports it; all others use `Database` and
the `Connection` that it lends.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import MappingProxyType
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]

from signalbox.errors import DatabaseConflict, DatabaseUnavailable, QueryTimeout
from signalbox.postgres.address import usable

#: Where all of our tables are; nothing outside of it is ever read or written.
SCHEMA = "signalbox"
#: Seconds until a server that does not accept a connection counts as away.
CONNECT_TIMEOUT = 3.0
#: Seconds that one statement may take unless its caller says otherwise.
COMMAND_TIMEOUT = 10.0
#: Seconds to wait for a connection of the pool to become free, and for a used one to be given back.
ACQUIRE_TIMEOUT = 5.0
#: Seconds for a clean close, before the sockets are simply closed.
CLOSE_TIMEOUT = 3.0

#: Errors of a server that is away, goes away in the middle, comes up, has no room, became a replica, or
#: broke a deadlock at our cost. Classes of SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNAVAILABLE = (
    OSError,  # TimeoutError is one of them
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,  # 08
    asyncpg.InvalidAuthorizationSpecificationError,  # 28
    asyncpg.InvalidCatalogNameError,  # 3D
    asyncpg.ReadOnlySQLTransactionError,  # 25006
    asyncpg.TransactionRollbackError,  # 40
    asyncpg.InsufficientResourcesError,  # 53
    asyncpg.LockNotAvailableError,  # 55P03
    asyncpg.OperatorInterventionError,  # 57
    asyncpg.PostgresSystemError,  # 58
)

#: The tables are not (or no longer, or not yet all) there, or not for us: somebody has to bring the database and
#: the services together, and until then it is as good as away. Class 42.
MISFITS = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError)

#: The driver has one class for wrong use of it and for a connection or pool that was closed under us.
_LOST = re.compile("clos(ed|ing)|released back to the pool")

#: Options of connections whose statements go by keys: each is planned once, for any values. To plan takes several times
#: as long as to run, and a plan that is made while the tables are empty must go by keys when they are full. Where there
#: is no key, that makes a plan look so expensive that a server with LLVM would compile it, for seconds.
PLANNED_ONCE: Mapping[str, str] = MappingProxyType(
    {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
)

Row = Mapping[str, Any]

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class Connection(Protocol):
    """A connection of the pool, for as long as it is lent; `timeout` is in seconds."""

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run a statement (without arguments: several), answer its command tag."""

    async def fetch(self, query: str, *args: object, timeout: float | None = None) -> list[Row]:
        """All rows."""

    async def fetchrow(self, query: str, *args: object, timeout: float | None = None) -> Row | None:
        """The first row, or none."""

    async def fetchval(self, query: str, *args: object, timeout: float | None = None) -> Any:  # noqa: ANN401
        """The first column of the first row, or none."""


@contextmanager
def querying() -> Iterator[None]:
    """Turn the errors of an absent PostgreSQL into DatabaseUnavailable; mistakes of ours pass unchanged."""
    try:
        yield
    except (*_UNAVAILABLE, *MISFITS) as error:
        raise _unavailable(error) from error
    except asyncpg.UndefinedFunctionError as error:
        if not str(error).startswith("function "):  # an operator is missing where we compare what cannot be compared
            raise
        raise _unavailable(error) from error
    except asyncpg.InterfaceError as error:
        if not _LOST.search(str(error)):
            raise
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> DatabaseUnavailable:
    # Its class has two more meanings: an administrator ended the statement, or a standby needed its rows.
    if isinstance(error, asyncpg.QueryCanceledError) and "statement timeout" in str(error):
        return QueryTimeout("PostgreSQL ended a statement that took longer than its limit")
    if isinstance(error, asyncpg.TransactionRollbackError):
        return DatabaseConflict(f"PostgreSQL rolled back what met another transaction: {error}")
    reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    if isinstance(error, (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError)):
        missing, *_ = str(error).splitlines()
        reason = f"it has not all tables of Signalbox ({missing}); start signalbox-reconciler, or run `signalbox setup`"
    return DatabaseUnavailable(f"PostgreSQL cannot be used: {reason}")


async def _as_it_is(_connection: object) -> None:
    """Spare the driver's RESET ALL, a round trip for each use: we change nothing that outlives a transaction.

    An open transaction is rolled back by the driver in any case.
    """


class Database:
    """A bounded pool on one database; made by `open_database`.

    Every wait in it ends: see the time-outs of this module. A pool that was opened while the server was away
    works as soon as the server does, and again after a restart of it.
    """

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - the driver's class has no types
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; each statement commits by itself.

        Raises:
            DatabaseUnavailable: there is none, or it broke while it was lent.
        """
        with querying():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside a transaction: committed at the end of the block, rolled back when it raises.

        Raises:
            DatabaseUnavailable: as above; whether the commit came through is then not known.
        """
        async with self.connection() as connection, connection.transaction():  # type: ignore[attr-defined]
            yield connection


@asynccontextmanager
async def open_database(
    url: str,
    *,
    connections: int = 8,
    application: str = "signalbox",
    timeout: float = COMMAND_TIMEOUT,
    read_only: bool = False,
    options: Mapping[str, str] = _NO_OPTIONS,
) -> AsyncIterator[Database]:
    """A pool of up to `connections`, which connects when it is first used.

    Args:
        url: as in postgresql://user:password@host:5432/signalbox
        connections: the most that are open at a time; more callers wait, and give up after ACQUIRE_TIMEOUT.
        application: the name under which `pg_stat_activity` shows us.
        timeout: seconds that a statement may take.
        read_only: let PostgreSQL refuse whatever writes.
        options: further settings of PostgreSQL for these connections, as in `statement_timeout`.

    Raises:
        SettingsError: the address makes no sense.
    """
    address = usable(url)
    settings = {"application_name": application, "timezone": "UTC", "search_path": SCHEMA, **options}
    if read_only:
        settings["default_transaction_read_only"] = "on"
    pool = await asyncpg.create_pool(
        address,
        min_size=0,
        max_size=connections,
        timeout=CONNECT_TIMEOUT,
        command_timeout=timeout,
        server_settings=settings,
        reset=_as_it_is,
        max_cached_statement_lifetime=0,  # a statement stays prepared: the ones we have are few, and planned once
    )
    try:
        yield Database(pool)
    finally:
        try:
            await asyncio.wait_for(pool.close(), CLOSE_TIMEOUT)
        except Exception:  # noqa: BLE001 - whatever it is, we are leaving
            pool.terminate()
