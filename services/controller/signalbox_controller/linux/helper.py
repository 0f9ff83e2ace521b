"""Helper process: a short-lived child, and the wait for its end."""

import asyncio
import contextlib
import os
import signal
import subprocess

from signalbox_controller.linux.reaper import Reaper


async def wait_for(helper: subprocess.Popen[bytes], reaper: Reaper, seconds: float) -> int:
    """Wait for the helper, which leads a session of its own, and return its exit code; kill it after `seconds`."""
    ended = asyncio.Event()

    def collect() -> None:
        helper.wait()
        ended.set()

    reaper.collect_with(helper.pid, collect)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(helper.pid, signal.SIGKILL)
        await ended.wait()
    finally:
        if not ended.is_set():  # we are ending: it has a deadline of its own
            reaper.forget(helper.pid)
            helper.returncode = 0
    return helper.returncode
