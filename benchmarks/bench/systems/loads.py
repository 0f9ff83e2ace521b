"""Loads as processes: run to their end, and what they say about themselves."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchmarkError
from bench.systems.process import a_process, log_of
from signalbox_local.plan import ROOT

#: Where the modules of a load are.
PATH = os.pathsep.join((str(ROOT / "benchmarks"), str(ROOT / "deploy" / "local")))


@dataclass(frozen=True)
class Load:
    """A load that is over; epoch, and seconds."""

    began: float
    ended: float
    cpu: float


class Module:
    """A load that runs, and what it prints."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    async def line(self) -> bytes:
        """The next line that it prints.

        Raises:
            BenchmarkError: it has ended without one; the text has the last line of its complaint.
        """
        stdout, stderr = self._process.stdout, self._process.stderr
        if stdout is None or stderr is None:
            raise BenchmarkError(f"the load {self._name} has no output")
        if line := await stdout.readline():
            return line
        complaint = (await stderr.read()).decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise BenchmarkError(f"the load {self._name} failed: {complaint[-1]}")


@asynccontextmanager
async def module(name: str, *arguments: object, **environ: str) -> AsyncIterator[Module]:
    """Run `python -m bench.load.<name>`, which is killed at the end; `environ` is added to ours."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.load.{name}", *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": PATH, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Module(name, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def run_load(name: str, *arguments: object, **environ: str) -> Load:
    """Run a load to its end, which is when it prints about itself.

    Raises:
        BenchmarkError: it failed.
    """
    async with module(name, *arguments, **environ) as running:
        said = json.loads(await running.line())
    return Load(said["began"], said["ended"], said["cpu"])


@asynccontextmanager
async def a_load(name: str, folder: Path, *arguments: object, **environ: str) -> AsyncIterator[int]:
    """Have `python -m bench.load.<name>` run until the end of the body; ready when it has printed something."""
    command = [sys.executable, "-m", f"bench.load.{name}", *map(str, arguments)]

    async def ready() -> bool:
        return bool(log_of(name, folder))

    async with a_process(name, folder, command, {"PYTHONPATH": PATH, **environ}, ready) as pid:
        yield pid
