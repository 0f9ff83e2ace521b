"""A RabbitMQ of the tests' own: on the loopback only, its data, cookie and name server in a temporary folder."""

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path
from secrets import token_urlsafe

import amqp

from signalbox_local.errors import MissingProgram
from signalbox_local.ports import HOST, free_port
from signalbox_local.processes.child import Child
from signalbox_local.processes.waiting import until
from signalbox_local.secret import secret
from signalbox_local.stores.server import EmbeddedServer

USER = "signalbox"
#: The virtual hosts, so that each test has an empty one; more of them cost nothing.
PLACES = [f"test-{number:02}" for number in range(64)]
#: Where Debian has the program itself; what it has on the PATH changes the user, and the folder, first.
_DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
#: Seconds for the name server to listen.
_PATIENCE = 10.0


class RabbitMQ(EmbeddedServer):
    """A RabbitMQ that can be stopped, killed and started again with the same address and durable queues."""

    name = "RabbitMQ"
    #: Six of them on an idle machine, and more than 60 on one that is busy.
    start_deadline = 150.0
    stop_steps = ((signal.SIGTERM, 15.0),)

    def __init__(self, data: Path) -> None:
        super().__init__(data, Child("rabbitmq", data))
        self._folder = data / "rabbitmq"
        # Erlang's port mapper. RabbitMQ would start one that outlives it; it finds this one, which is ours to end.
        self._mapper = Child("epmd", data)
        self._mapper_port = self._internal_port = 0
        self._given = 0

    @property
    def url(self) -> str:
        return self.url_of(PLACES[0])

    def url_of(self, place: str) -> str:
        """The address of one of its virtual hosts."""
        return f"amqp://{USER}:{self._password}@{HOST}:{self.port}/{place}"

    def next_place(self) -> str:
        """A virtual host that nobody was given yet."""
        self._given += 1
        assert self._given < len(PLACES), "more tests than places use RabbitMQ: have more of them"
        return PLACES[self._given]

    def connect(self, place: str) -> amqp.Connection:
        """A connection, to look with or to disturb."""
        return amqp.Connection(
            f"{HOST}:{self.port}", USER, self._password, virtual_host=place, connect_timeout=2.0, read_timeout=5.0
        )

    async def prepare(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, parents=True)
            cookie = self._folder / ".erlang.cookie"
            cookie.write_text(token_urlsafe(16), encoding="ascii")
            cookie.chmod(0o400)
            (self._folder / "plugins").write_text("[].", encoding="ascii")
        if not self._mapper.running:
            self._mapper_port, self._internal_port = free_port(), free_port()
            self._mapper.start([_program("epmd"), "-address", HOST, "-port", str(self._mapper_port)])
            assert await until(self._mapper_answers, time.monotonic() + _PATIENCE), "epmd does not listen"

    def launch(self) -> None:
        program = _DEBIAN if _DEBIAN.exists() else _program("rabbitmq-server")
        definitions, settings = self._folder / "definitions.json", self._folder / "rabbitmq.conf"
        definitions.write_text(json.dumps(self._definitions()), encoding="ascii")
        lines = {
            "listeners.tcp.1": f"{HOST}:{self.port}",
            "distribution.listener.interface": HOST,
            "load_definitions": definitions,
            # What a test machine has left must not stop the test.
            "vm_memory_high_watermark.absolute": "1GB",
            "disk_free_limit.absolute": "1MB",
            "log.console": "true",
            "log.file": "false",
        }
        settings.write_text("".join(f"{name} = {value}\n" for name, value in lines.items()), encoding="utf-8")
        self.child.start([program], environ=os.environ | self._environ(settings))

    async def answers(self) -> bool:
        return await asyncio.to_thread(self._lets_us_in)

    async def has_on_disk(self, queue: str) -> bool:
        """Whether a durable queue would outlive a kill: its declaration is confirmed a moment before it is written.

        The queue's own folder names it before the tables do.
        """
        files = [file for file in (self._folder / "mnesia").rglob("*") if file.name != ".queue_name"]
        return await asyncio.to_thread(lambda: any(file.is_file() and queue.encode() in _bytes(file) for file in files))

    async def remove(self) -> None:
        """Stop it, and its port mapper with it."""
        await self.stop()
        await self._mapper.stop()

    def _environ(self, settings: Path) -> dict[str, str]:
        folder = self._folder
        return {
            "HOME": str(folder),
            "ERL_CRASH_DUMP_SECONDS": "0",
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"signalbox-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._internal_port),
            "RABBITMQ_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(settings),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            # Then its script is replaced by the server, and our child is the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _definitions(self) -> dict[str, object]:
        rights = {"user": USER, "configure": ".*", "write": ".*", "read": ".*"}
        return {
            "users": [{"name": USER, "password": self._password, "tags": ""}],
            "vhosts": [{"name": place} for place in PLACES],
            "permissions": [{"vhost": place, **rights} for place in PLACES],
        }

    @property
    def _password(self) -> str:
        return secret(self.data, "rabbitmq")

    def _lets_us_in(self) -> bool:
        try:
            with self.connect(PLACES[-1]):
                return True
        except (OSError, amqp.AMQPError):
            return False

    async def _mapper_answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(HOST, self._mapper_port)
        except OSError:
            return False
        writer.close()
        return True


def _bytes(file: Path) -> bytes:
    """What a file holds; nothing if the server has just moved it."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _program(name: str) -> Path:
    """A program on the PATH, or among the administrator's."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise MissingProgram(f"found no {name}, so nothing is tried with RabbitMQ; apt-get install rabbitmq-server")
    return Path(found)
