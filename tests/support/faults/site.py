"""A whole Signalbox with stores of its own, so that each of them can be taken away alone."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from signalbox_agent.proc import Proc, identify
from signalbox_local.stores.postgres import EmbeddedPostgres
from signalbox_local.stores.valkey import EmbeddedValkey
from support.faults.diary import Diary
from support.stores.databases import a_database
from support.system import System, a_system

#: Workers of the application, and beat.
WORKERS = ("first", "second")
CONFIG = """\
[apps.diary]
app = "diary"
directory = "{folder}"
[apps.diary.environment]
DIARY_BROKER = "{broker}"
DIARY_STORE = "{store}"
DIARY_FILE = "{file}"
[[apps.diary.workers]]
name = "first"
concurrency = 4
[[apps.diary.workers]]
name = "second"
concurrency = 4
[apps.diary.beat]
"""
QUEUE, UNACKED = "celery", "unacked"


@dataclass(frozen=True)
class Site:
    """The system, its stores, and its diary."""

    system: System
    postgres: EmbeddedPostgres
    bus: EmbeddedValkey
    #: Celery's, a server of its own; its database 1 is the result backend.
    broker: EmbeddedValkey
    #: The database of the record.
    database: str
    diary: Diary
    #: Whether the controller's data folder is a file system of its own.
    own_disk: bool

    def service(self, name: str) -> int:
        """The pid of a service."""
        pid = self.system.run.services[name].child.pid
        assert pid is not None
        return pid

    async def process(self, name: str) -> int:
        """The pid of a worker's main process, or of beat."""
        rows = await self.system.record("SELECT pid FROM processes WHERE name = $1 AND state = 'running'", name)
        assert rows, f"{name} does not run"
        return int(rows[0]["pid"])

    def busy_child(self) -> int:
        """The pid of a pool child that is at a task."""
        sight = self.diary.see()
        live = [run for task_id in sight.diary for run in sight.live(task_id)]
        assert live, "no task runs"
        return max(live, key=lambda run: run.began).process.pid

    def waiting(self) -> set[str]:
        """The ids of all messages that the broker has, those that a worker holds included."""
        with Redis.from_url(self.broker.url, socket_timeout=5.0) as redis:
            messages = [json.loads(text) for text in redis.lrange(QUEUE, 0, -1)]
            messages += [json.loads(text)[0] for text in redis.hvals(UNACKED)]
        return {message["headers"]["id"] for message in messages}

    async def is_whole(self) -> str:
        """What is not well yet, as the api says; empty: all lights are green, and somebody vouches for them."""
        async with self.system.client() as client:
            answer = await client.get("/scheduler/celery-status/")
        if answer.status_code != 200:
            return f"celery-status: {answer.status_code}"
        status = answer.json()
        if status["behind"] or status["celery"] != "running":
            return f"celery-status: {status['celery']}, behind: {[part['message'] for part in status['behind']]}"
        return ""


@asynccontextmanager
async def a_site(folder: Path) -> AsyncIterator[Site]:
    """Start it; end it with all that runs in it."""
    diary, data = Diary(folder / "diary"), folder / "data"
    postgres = EmbeddedPostgres(folder / "postgres", durable=False)
    bus, broker = EmbeddedValkey(folder / "bus"), EmbeddedValkey(folder / "broker")
    try:
        for store in (postgres, bus, broker):
            await store.start()
        config = folder / "signalbox.toml"
        apps = Path(__file__).parents[1] / "apps"
        text = CONFIG.format(folder=apps, broker=broker.url, store=broker.url_of(1), file=diary.file)
        config.write_text(text, encoding="utf-8")
        with _disk(data) as own_disk:
            async with (
                a_database(postgres) as database,
                a_system(data, postgres, bus, database, config=config) as system,
                _supervised(system),
            ):
                yield Site(system, postgres, bus, broker, database, diary, own_disk)
    finally:
        for store in (postgres, bus, broker):
            await store.stop()


@asynccontextmanager
async def _supervised(system: System) -> AsyncIterator[None]:
    """Start a service again that ends, as `make up` and systemd do."""
    supervisor = asyncio.create_task(system.run.broken())
    try:
        yield
    finally:
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            raise await supervisor


@contextmanager
def _disk(folder: Path) -> Iterator[bool]:
    """Make the folder, on a file system of its own where we may mount one; whether it is."""
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256m,mode=0700", "signalbox-faults", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            shutil.copytree(folder / "logs", folder.with_suffix(".logs"), dirs_exist_ok=True)
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def family(pid: int) -> list[Proc]:
    """A process and all below it."""
    with suppress(psutil.NoSuchProcess):
        found = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return [proc for one in found if (proc := identify(one.pid)) is not None]
    return []
