"""Waiting with a deadline: for a process to end, for a server to answer."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

#: Seconds between two polls.
_PAUSE = 0.02


async def ended(pid: int) -> None:
    """Wait for the end of a process, child or not, without reaping it; at once when there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    exited = asyncio.Event()
    loop.add_reader(descriptor, exited.set)
    try:
        await exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def ended_within(pid: int, seconds: float) -> bool:
    """Whether the process ended within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await ended(pid)
    except TimeoutError:
        return False
    return True


async def until(answers: Callable[[], Awaitable[bool]], deadline: float) -> bool:
    """Poll until it `answers` True; False when `deadline` (time.monotonic()) passed first."""
    while not await answers():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_PAUSE)
    return True
