"""The command line as a script runs it: no terminal, and an environment of the test's own."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

#: Seconds for one command; a stop of everything is the slowest.
DEADLINE = 80.0


class Ended(msgspec.Struct, frozen=True):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


async def run(*arguments: str, data: Path, typed: str = "", **environ: str) -> Ended:
    """Run `signalbox` with a data folder, as from a script: no terminal."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("signalbox")), *arguments),
        env=clean | {"SIGNALBOX_DATA": str(data)} | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(typed.encode()), DEADLINE)
    finally:
        if process.returncode is None:
            process.kill()
    return Ended(process.returncode or 0, out.decode(), err.decode())
