"""A host that runs the application `apps/steps.py`, and what its tasks wrote down."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from signalbox_agent.child import slot_file
from support.eventually import eventually
from support.host import Host, a_host
from support.stores.server import Redis

WORKER = """
[apps.steps]
app = "steps"
directory = "{app}"
[apps.steps.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
DIARY = "{diary}"
[[apps.steps.workers]]
name = "worker"
concurrency = {concurrency}
stop_timeout = 10.0
options = [{options}]
"""
Lines = list[tuple[int, str]]


class LoggedWorker:
    """The host, and its diary."""

    def __init__(self, host: Host, diary: Path) -> None:
        self.host = host
        self._diary = diary
        self._begun: dict[str, asyncio.Event] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"{diary}.socket")
        asyncio.get_running_loop().add_reader(self._socket, self._hear)

    def _hear(self) -> None:
        self.begun(self._socket.recv(100).decode()).set()

    def begun(self, task_id: str) -> asyncio.Event:
        """Set when this task begins."""
        return self._begun.setdefault(task_id, asyncio.Event())

    def send(self, name: str, *arguments: Any, **options: Any) -> str:
        """Send a task; its id."""
        return str(self.host.celery.send_task(name, arguments, **options).id)

    def read(self) -> dict[str, Lines]:
        """What each task wrote, with the number of its attempt."""
        lines: dict[str, Lines] = {}
        for line in self._diary.read_text(encoding="ascii").splitlines() if self._diary.exists() else ():
            task_id, retries, word = line.split()
            lines.setdefault(task_id, []).append((int(retries), word))
        return lines

    def words(self, task_id: str) -> list[str]:
        """What this task wrote."""
        return [word for _, word in self.read().get(task_id, [])]

    async def child_writes(self, pid: int, word: str) -> None:
        """Wait until this pool child has written so of its latest task."""

        async def look() -> bool:
            [folder] = (self.host.data / "run").glob("*.children")
            state = slot_file.read(str(folder / str(pid)))
            return state is not None and state.word == word

        await eventually(look, f"child {pid} writes {word}")

    def close(self) -> None:
        """Hear nothing any more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@asynccontextmanager
async def a_logged_worker(
    folder: Path,
    redis: Redis,
    broker: str = "",
    *,
    concurrency: int = 2,
    options: tuple[str, ...] = (),
    **environ: str,
) -> AsyncIterator[LoggedWorker]:
    """A host with one worker, which runs; `environ` is added to the environment of its controller."""
    diary = folder / "diary"
    quoted = ", ".join(f'"{option}"' for option in options)
    app = Path(__file__).parent / "apps"
    text = WORKER.format(app=app, diary=diary, concurrency=concurrency, options=quoted)
    escaped = text.replace("{", "{{").replace("}", "}}")
    async with a_host(folder / "host", redis, escaped, broker, **environ) as host:
        worker = LoggedWorker(host, diary)
        try:
            await host.process_is("worker", "running")
            yield worker
        finally:
            worker.close()
