"""One host with a controller as a process, and hands for a test to use it: commands in, events and receipts out."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import psutil
from celery import Celery

from signalbox.bus import names
from signalbox.bus.connection import UNAVAILABLE, connect
from signalbox.bus.consumer import entries_of
from signalbox.client.commander import Commander, Issuer
from signalbox.messages.codec import decode_event, decode_receipt
from signalbox.messages.events import AnyEvent, Event, ProcessChanged, TaskStarted
from signalbox.messages.receipts import AnyReceipt
from support.celery_sender import close_sender
from support.cgroups import end_cgroup
from support.eventually import HANGS, eventually
from support.stores.server import Redis
from support.streams import parts_of

ROOT = Path(__file__).parents[2]
KEY = "a key for tests that is long enough to be one"
NAME = "web-01"
ALICE = Issuer(name="user:alice", reason="maintenance")

E = TypeVar("E", bound=Event)
R = TypeVar("R")

SHOP = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[[apps.shop.workers]]
name = "worker"
concurrency = 2
stop_timeout = 10.0
"""
BEAT = """
[apps.shop.beat]
"""


class Host:
    """A controller that a test starts, stops and kills; what it launched is ended with the test."""

    def __init__(self, folder: Path, redis: Redis, configuration: str = SHOP, broker: str = "", **environ: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.redis = connect(redis.url)
        self.commander = Commander(self.redis, KEY)
        self.broker, self._results = broker or redis.url_of(1), redis.url_of(1)
        self.celery = Celery(broker=self.broker, backend=self._results, set_as_current=False)
        self.process: subprocess.Popen[bytes] | None = None
        self._file = folder / "signalbox.toml"
        self.configure(configuration)
        self._log = folder / "controller.log"
        self._environ = environ
        self._url = redis.url
        self._seen: list[AnyEvent] = []
        self._position = b"0"

    def configure(self, configuration: str) -> None:
        """Write signalbox.toml, with its folders filled in."""
        folders = {"examples": ROOT / "examples", "apps": ROOT / "tests" / "support" / "apps"}
        self._file.write_text(configuration.format(**folders), encoding="utf-8")

    def start(self) -> None:
        """Start the controller; it is not ready yet when this returns."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        ours = {
            "SIGNALBOX_REDIS_URL": self._url,
            "SIGNALBOX_KEY": KEY,
            "SIGNALBOX_DATA": str(self.data),
            "SIGNALBOX_CONFIG": str(self._file),
            "SIGNALBOX_HOSTNAME": NAME,
            "SHOP_BROKER_URL": self.broker,
            "SHOP_RESULT_BACKEND": self._results,
        }
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "signalbox_controller"]
            self.process = subprocess.Popen(command, env=clean | ours | self._environ, stdout=log, stderr=log)

    async def end(self, number: signal.Signals) -> int:
        """Signal the controller, and wait for its end; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, HANGS)

    async def end_hard(self) -> None:
        """Kill the controller as the kernel does when memory runs out."""
        await self.end(signal.SIGKILL)

    async def missed_by(self, workers: int) -> None:
        """Wait until so many workers have noticed that the controller is gone: what they run is on disk then."""

        async def look() -> bool:
            spools = [path.read_text(encoding="utf-8") for path in (self.data / "run").glob("*.diary")]
            return sum('"type":"snapshot"' in spool for spool in spools) == workers

        await eventually(look, f"{workers} workers miss the controller")

    @property
    def log(self) -> str:
        """What the controller said."""
        return self._log.read_text(encoding="utf-8")

    async def events(self) -> list[AnyEvent]:
        """All that was published so far, whole runs by their parts; what was known before, while Redis is away."""
        try:
            rows = entries_of(await self.redis.xread({names.EVENTS: self._position}))
        except UNAVAILABLE:
            rows = []
        if rows:
            self._position = rows[-1].position
        self._seen += [part for row in rows for part in parts_of(decode_event(row.data))]
        return self._seen

    async def of(self, kind: type[E], **fields: Any) -> list[E]:
        """The events of one kind, with these values in their fields."""
        return [
            event
            for event in await self.events()
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    async def seen(self, kind: type[E], *, within: float = HANGS, **fields: Any) -> E:
        """The latest event of this kind and with these fields, as soon as there is one."""

        async def look() -> E | None:
            found = await self.of(kind, **fields)
            return found[-1] if found else None

        try:
            return await eventually(look, f"{kind.__name__} {fields}", within=within)
        except BaseException:
            self._explain(self._seen[-20:])
            raise

    async def seen_again(self, kind: type[E], *, within: float = HANGS, **fields: Any) -> E:
        """The same, of what is published from now on."""
        self._seen = []
        self._position = await self._last_position()
        return await self.seen(kind, within=within, **fields)

    async def _last_position(self) -> bytes:
        last = await self.redis.xrevrange(names.EVENTS, count=1)
        return cast("bytes", last[0][0]) if last else b"0"

    async def process_is(self, name: str, state: str, *, within: float = HANGS) -> ProcessChanged:
        """What was told of a process, as soon as the latest word on it is `state`."""

        async def look() -> ProcessChanged | None:
            told = await self.of(ProcessChanged, name=name)
            return told[-1] if told and told[-1].state == state else None

        try:
            return await eventually(look, f"{name} {state}", within=within)
        except BaseException:
            self._explain(await self.of(ProcessChanged, name=name))
            raise

    def _explain(self, events: Sequence[Event]) -> None:
        """What pytest shows when something was not seen."""
        logs = [path.read_text(encoding="utf-8")[-3000:] for path in (self.data / "logs").glob("*.log")]
        print(self.log, *events, *logs, sep="\n")  # noqa: T201

    async def pid(self, name: str) -> int:
        """The process' pid, as it was last told; 0 when it has none."""
        told = await self.of(ProcessChanged, name=name)
        return (told[-1].pid if told else None) or 0

    async def only_child_of(self, pid: int) -> int:
        """The one process that this one has started, as soon as there is one."""

        async def look() -> int | None:
            children = psutil.Process(pid).children()
            return children[0].pid if children else None

        return await eventually(look, f"a child of {pid}")

    def workers(self) -> list[int]:
        """The main processes that run on this host, by whomever they were launched."""
        launched = _launched_from(self.data)
        mains = []
        for pid in launched:
            with contextlib.suppress(psutil.NoSuchProcess):
                mains += [pid] if psutil.Process(pid).ppid() not in launched else []
        return mains

    def mains(self) -> dict[int, str]:
        """The instance of each process that a controller launched here and that lives, by its pid."""
        found = {}
        for pid in _launched_from(self.data):
            with contextlib.suppress(OSError, psutil.NoSuchProcess):
                instance = psutil.Process(pid).environ().get("SIGNALBOX_INSTANCE")
                if instance and os.getsid(pid) == pid and lives(pid):
                    found[pid] = instance
        return found

    def begin(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        """Do something beside the rest."""
        return asyncio.get_running_loop().create_task(work)

    async def send(self, task: str, **arguments: Any) -> str:
        """Send a task of the shop, as in `send("reports.count_stock", seconds=60.0)`; its id."""
        return str((await asyncio.to_thread(self.celery.send_task, f"shop.{task}", kwargs=arguments)).id)

    async def send_to(self, queue: str, task: str, **arguments: Any) -> str:
        """The same, to another queue than the usual one."""
        send = self.celery.send_task
        return str((await asyncio.to_thread(send, f"shop.{task}", kwargs=arguments, queue=queue)).id)

    async def receipts(self, command_id: str, count: int) -> list[AnyReceipt]:
        """The receipts of a command, as soon as there are so many."""

        async def look() -> list[AnyReceipt] | None:
            rows = entries_of(await self.redis.xread({names.receipts(command_id): b"0"}))
            return [decode_receipt(row.data) for row in rows] if len(rows) >= count else None

        return await eventually(look, f"{count} receipts")

    async def buried(self, data: bytes) -> None:
        """Wait until a command is on the dead-letter stream."""

        async def look() -> bool:
            rows = entries_of(await self.redis.xread({names.dead(names.COMMANDS): b"0"}))
            return any(row.data == data for row in rows)

        await eventually(look, f"{data!r} among the dead letters")

    async def running(self, task: str = "reports.count_stock", **arguments: Any) -> TaskStarted:
        """Send a long task, and wait until a child runs it."""
        task_id = await self.send(task, **(arguments or {"seconds": 120.0}))
        return await self.seen(TaskStarted, task_id=task_id)


@asynccontextmanager
async def a_host(
    folder: Path, redis: Redis, configuration: str = SHOP, broker: str = "", **environ: str
) -> AsyncIterator[Host]:
    """A host whose controller is started; at the end all of it is gone. Celery's broker is this Redis, or `broker`."""
    host = Host(folder, redis, configuration, broker, **environ)
    try:
        host.start()
        yield host
    finally:
        if host.process is not None and host.process.poll() is None:
            host.process.kill()
            await asyncio.to_thread(host.process.wait, HANGS)
        _end_all_below(host.data)
        await asyncio.to_thread(end_cgroup, host.data)
        close_sender(host.celery)
        await host.redis.aclose()


def exists(pid: int) -> bool:
    """Whether there is a process of this pid, dead or alive."""
    return Path(f"/proc/{pid}").exists()


def lives(pid: int) -> bool:
    """Whether the process can still do anything. An orphan that fell to pid 1 shows until that reaps it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end_all_below(data: Path) -> None:
    for pid in _launched_from(data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _launched_from(data: Path) -> list[int]:
    """Every process that a controller of this data folder has launched, and the pool children of those."""
    socket = f"SIGNALBOX_AGENT_SOCKET={data / 'run' / 'agents.sock'}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and socket in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found
