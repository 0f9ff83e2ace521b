"""Waiting with a deadline: for a process to end, for a server to answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from signalbox_controller.linux.signals import death

#: Seconds between two polls.
_PAUSE = 0.02


async def ended_within(pid: int, seconds: float) -> bool:
    """Whether the process ended within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await death(pid)
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
