"""A shell, typed into as a person does it who follows a page."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from support.eventually import HANGS

#: What stands before the exit code of a command.
MARK = "exit-code-of-this-step:"
#: Seconds for a step; `pip install` is the longest.
PATIENCE = 200.0


class Shell:
    """A shell that a person types into."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def type(self, command: str) -> tuple[int, str]:
        """Run a command; its exit code, and what it printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho {MARK} $?\n".encode())
        said = ""
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                if line.startswith(MARK):
                    return int(line.removeprefix(MARK)), said
                said += line
        raise AssertionError(f"the shell ended in {command!r}:\n{said}")

    async def right(self, command: str) -> str:
        """Run a command that has to succeed; what it printed."""
        code, said = await self.type(command)
        assert code == 0, f"{command}: {code}\n{said}"
        return said


@asynccontextmanager
async def a_shell(folder: Path, **environ: str) -> AsyncIterator[Shell]:
    """One in a folder, without anything of ours in its environment; whatever it has started is ended with it."""
    ours = re.compile(r"SIGNALBOX_|PYTHON|VIRTUAL_ENV|DATABASE_URL|REDIS_URL")
    clean = {name: value for name, value in os.environ.items() if not ours.match(name)}
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=clean | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Shell(process)
    finally:
        below = psutil.Process(process.pid).children(recursive=True)
        for one in below:
            one.send_signal(signal.SIGTERM)
        for one in psutil.wait_procs(below, timeout=HANGS)[1]:
            one.kill()
        process.kill()
        await process.wait()
