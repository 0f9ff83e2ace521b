"""Embedded PostgreSQL: its own cluster in the data folder, on 127.0.0.1 only."""

import signal
from pathlib import Path
from urllib.parse import quote

import asyncpg  # type: ignore[import-untyped]

from signalbox_local.errors import LocalError
from signalbox_local.ports import HOST
from signalbox_local.processes.child import Child
from signalbox_local.secret import secret
from signalbox_local.stores import cluster, privileges, roles
from signalbox_local.stores.programs import postgres_programs
from signalbox_local.stores.server import EmbeddedServer

USER = "signalbox"
#: Not durable across a power failure only: SIGKILL loses nothing that was committed.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres(EmbeddedServer):
    """A PostgreSQL server with a generated password and a database named `signalbox`."""

    name = "PostgreSQL"
    #: Recovery after a crash is slow.
    start_deadline = 180.0
    #: "Fast" shutdown: roll back, checkpoint, end; then "immediate" (PostgreSQL manual, Shutting Down the Server).
    stop_steps = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        """Store in the data folder `data`; `durable=False` skips fsync, for tests."""
        super().__init__(data, Child("postgres", data, death_signal=signal.SIGINT))
        self._folder = data / "postgres"
        self._durable = durable
        self._command: list[str] = []

    @property
    def url(self) -> str:
        return self.url_of(USER)

    def url_of(self, database: str) -> str:
        """Address of a database of this server."""
        return self._url(USER, self._password, database)

    def url_as(self, role: str) -> str:
        """Address of the database `signalbox` for a service; `make_roles` makes its role."""
        return self._url(role, secret(self.data, role), USER)

    async def make_roles(self) -> None:
        """Make the tables as their owner, and a role for each service.

        Raises:
            LocalError: it failed.
        """
        await roles.prepare(self.url, {role: secret(self.data, role) for role in (roles.API, roles.RECONCILER)})

    def _url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{quote(password)}@{HOST}:{self.port}/{quote(database)}"

    async def prepare(self) -> None:
        programs = postgres_programs()
        if not cluster.exists(self._folder):
            await cluster.create(self.data, self._folder, programs, USER, self._password, sync=self._durable)
        cluster.forget_dead_postmaster(self._folder)
        owner = privileges.own(self._folder)
        self._command = [*privileges.prefix(owner, "INT"), str(programs / "postgres"), "-D", str(self._folder)]

    def launch(self) -> None:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **({} if self._durable else _NOT_DURABLE),
        }
        self.child.start([*self._command, *(part for pair in settings.items() for part in ("-c", "=".join(pair)))])

    async def answers(self) -> bool:
        """Whether it accepts a connection; creates the database at the first one."""
        try:
            connection = await asyncpg.connect(self.url_of("postgres"), timeout=2.0)
        except asyncpg.InvalidPasswordError as error:
            raise LocalError(
                f"PostgreSQL in {self._folder} does not take the password in {self.data / 'secrets'};"
                " put the old file back, or move the folder away to begin with an empty record"
            ) from error
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", USER):
                await connection.execute(f'CREATE DATABASE "{USER}"')
        finally:
            await connection.close()
        return True

    @property
    def _password(self) -> str:
        return secret(self.data, "postgres")
