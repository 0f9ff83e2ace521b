"""Helper processes of the controller: children of ours that end with their work, or are killed."""

import asyncio
import contextlib
import os
import signal
import subprocess

from signalbox_controller.linux.reaper import Reaper


class Helper:
    """A helper process, which leads a session of its own."""

    def __init__(self, process: subprocess.Popen[bytes], reaper: Reaper) -> None:
        #: Set when it has ended.
        self.ended = asyncio.Event()
        self._process = process
        self._reaper = reaper
        reaper.collect_with(process.pid, self._collect)

    def _collect(self) -> None:
        self._process.wait()
        self.ended.set()

    def kill(self) -> None:
        """Kill it, and all that it launched in its session."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Wait for it no longer: if it still runs, it is reaped with all others."""
        if not self.ended.is_set():
            self._reaper.forget(self._process.pid)
            self._process.returncode = 0


async def wait_for(
    process: subprocess.Popen[bytes], reaper: Reaper, seconds: float, *, outlives_us: bool = False
) -> int:
    """Wait for a helper, and return its exit code; kill it after `seconds`, and when we are cancelled.

    With `outlives_us` one that runs when we are cancelled, as the controller ends, is left to finish its work.
    """
    helper = Helper(process, reaper)
    try:
        async with asyncio.timeout(seconds):
            await helper.ended.wait()
    except TimeoutError:
        helper.kill()
        await helper.ended.wait()
    finally:
        if not outlives_us:
            helper.kill()
        helper.forget()
    return process.returncode
