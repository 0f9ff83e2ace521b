"""Polling of the record, which follows the hosts with a delay."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds between two queries: of the first two, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.2


async def poll(query: Callable[[], Awaitable[T]], done: Callable[[T], bool], seconds: float) -> T:
    """Repeat a query until its result is `done`, or the next one would come too late; return the last result."""
    clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
    until = clock() + seconds
    while not done(result := await query()) and clock() + pause <= until:
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return result
