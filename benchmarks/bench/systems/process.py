"""Processes that a part starts: they end with it, and so does all that they have started."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.errors import BenchmarkError
from bench.systems.waiting import PATIENCE, reach
from signalbox_agent.proc import descendants
from signalbox_controller.linux.signals import send
from signalbox_local.processes.child import Child

#: Seconds for a clean end.
_STOP = 10.0


@asynccontextmanager
async def a_process(
    name: str,
    folder: Path,
    command: Sequence[str | Path],
    environ: Mapping[str, str],
    ready: Callable[[], Awaitable[bool]],
) -> AsyncIterator[int]:
    """Start it, and wait until it is ready; its pid. `environ` is added to ours.

    Raises:
        BenchmarkError: it ended, or was not ready in time; the text has the last line of its log.
    """
    child = Child(name, folder)
    child.start(command, environ={**os.environ, **environ})
    try:

        async def is_ready() -> bool:
            if not child.running:
                raise BenchmarkError(f"{name} ended while it started: {child.last_lines(1).strip()}")
            return await ready()

        await reach(f"{name} is ready", is_ready, within=PATIENCE, pause=0.1)
        yield child.pid or 0
    finally:
        below = descendants([child.pid]) if child.running and child.pid else []
        await child.stop((signal.SIGTERM, _STOP))
        if child.exit_code == -signal.SIGKILL:
            for process in below:
                send(process, signal.SIGKILL)


def log_of(name: str, folder: Path) -> str:
    """What a process of this name has logged so far."""
    file = Child(name, folder).log
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
