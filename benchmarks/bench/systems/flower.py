"""Flower as it is measured: an environment of its own, made for the run, and one process."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx

from bench.errors import BenchmarkError
from bench.systems.process import a_process
from bench.systems.waiting import PATIENCE, reach
from signalbox_local.ports import HOST, free_port

VERSION = "2.2"
#: Seconds to install it.
_INSTALL = 240.0
#: What a request of its page for the list of tasks says of each column.
_COLUMNS = ("name", "uuid", "state", "args", "kwargs", "result", "received", "started", "runtime", "worker")
_COUNTED = re.compile(r"^flower_events_total\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Flower:
    """A running Flower."""

    pid: int
    http: httpx.AsyncClient

    async def state_of(self, task_id: str) -> str:
        """The state that it shows of a task; empty: it knows none of that id."""
        answer = await self.http.get(f"/api/task/info/{task_id}")
        return str(answer.json()["state"]) if answer.status_code == httpx.codes.OK else ""

    async def shows(self, task_id: str, state: str, *, pause: float = 0.005) -> None:
        """Wait until it shows a task in this state."""

        async def look() -> bool:
            return await self.state_of(task_id) == state

        await reach(f"Flower shows {task_id} as {state}", look, pause=pause)

    async def revoke(self, task_id: str) -> None:
        """Have a running task ended.

        Raises:
            BenchmarkError: the answer is no success.
        """
        answer = await self.http.post(f"/api/task/revoke/{task_id}", params={"terminate": "true"})
        if answer.status_code != httpx.codes.OK:
            raise BenchmarkError(f"Flower did not revoke {task_id}: {answer.status_code} {answer.text[:200]}")

    async def events_of(self, task_name: str) -> int:
        """The events that it has taken in, of tasks of this name."""
        text = (await self.http.get("/metrics")).text
        found = _COUNTED.findall(text)
        return sum(round(float(count)) for labels, count in found if f'task="{task_name}"' in labels)

    async def page(self, *, start: int = 0, search: str = "", sort_by: str = "received") -> int:
        """Ask for 50 tasks as its page does; how many it found in all."""
        place = _COLUMNS.index(sort_by)
        asked: dict[str, str] = {"draw": "1", "start": str(start), "length": "50", "search[value]": search}
        asked |= {f"columns[{number}][data]": name for number, name in enumerate(_COLUMNS)}
        asked |= {"order[0][column]": str(place), "order[0][dir]": "desc"}
        answer = await self.http.get("/tasks/datatable", params=asked)
        found = answer.raise_for_status().json()
        if "searchError" in found:
            raise BenchmarkError(f"Flower cannot search for {search!r}: {found['searchError']}")
        return int(found["recordsFiltered"])


async def install(folder: Path) -> Path:
    """Make an environment with Flower, and the Celery that we run; its interpreter.

    Raises:
        BenchmarkError: that did not work; the text has the last line of the reason.
    """
    python = folder / "bin" / "python"
    # What `celery[redis]` asks for is too old for kombu.
    same = [f"{package}=={version(package)}" for package in ("celery", "redis", "packaging")]
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    await _run([sys.executable, "-m", "venv", str(folder)])
    await _run([str(python), "-m", "pip", "install", *quiet, f"flower~={VERSION}.0", *same])
    return python


async def _run(command: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(_INSTALL):
            output, _ = await process.communicate()
    except TimeoutError:
        raise BenchmarkError(f"{' '.join(command[:4])} was not done within {_INSTALL:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = (output.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise BenchmarkError(f"{' '.join(command[:4])} failed: {last}")


@asynccontextmanager
async def flower(python: Path, broker: str, folder: Path) -> AsyncIterator[Flower]:
    """Run it on this broker; it listens when the body begins."""
    port = free_port()
    # Its command line has no password: every user can read that.
    environ = {"CELERY_BROKER_URL": broker, "FLOWER_UNAUTHENTICATED_API": "true", "PYTHONPATH": ""}
    command = [str(python), "-m", "celery", "flower", f"--address={HOST}", f"--port={port}", "--logging=warning"]
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=PATIENCE, trust_env=False) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/healthcheck")).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        async with a_process("flower", folder, command, environ, ready) as pid:
            yield Flower(pid, http)
