"""Embedded Valkey (or Redis): in memory, saved in the data folder, on 127.0.0.1 only."""

import signal
from pathlib import Path
from urllib.parse import quote

from signalbox_local.ports import HOST
from signalbox_local.processes.child import Child
from signalbox_local.secret import secret
from signalbox_local.stores.external import redis_answers
from signalbox_local.stores.programs import valkey_program
from signalbox_local.stores.server import EmbeddedServer


class EmbeddedValkey(EmbeddedServer):
    """A Valkey server with a generated password."""

    name = "Valkey"
    #: Reading a large append-only file is slow.
    start_deadline = 180.0
    stop_steps = ((signal.SIGTERM, 10.0),)

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        """Store in the data folder `data`; with `durable=False`, SIGKILL loses everything, a clean stop nothing."""
        super().__init__(data, Child("valkey", data))
        self._folder = data / "valkey"
        self._durable = durable

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Address of a numbered database."""
        return f"redis://:{quote(self._password)}@{HOST}:{self.port}/{database}"

    async def prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def launch(self) -> None:
        # The settings go through standard input: every user can read the password on a command line.
        self.child.start([valkey_program(), "-"], stdin=self._settings())

    async def answers(self) -> bool:
        return await redis_answers(self.url)

    @property
    def _password(self) -> str:
        return secret(self.data, "valkey")

    def _settings(self) -> str:
        # With any save point a clean stop writes a snapshot; this one is never reached otherwise.
        keep = ["appendonly yes", 'save ""'] if self._durable else ["appendonly no", "save 86400 2000000000"]
        folder = str(self._folder.resolve()).replace("\\", "\\\\").replace('"', '\\"')
        lines = [f"bind {HOST}", f"port {self.port}", f"requirepass {self._password}", f'dir "{folder}"']
        return "\n".join([*lines, "daemonize no", 'logfile ""', *keep, ""])
