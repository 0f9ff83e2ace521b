"""Waiting for something that a system has to reach, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bench.errors import NotReached

T = TypeVar("T")

#: Seconds that anything may take: a machine with much else to do is slow, and what hangs must show.
PATIENCE = 90.0


async def reach(
    what: str, look: Callable[[], Awaitable[T | None]], *, within: float = PATIENCE, pause: float = 0.02
) -> T:
    """The first true thing that `look` answers.

    Raises:
        NotReached: there was none within so many seconds.
    """
    end = time.monotonic() + within
    while True:
        if found := await look():
            return found
        if time.monotonic() > end:
            raise NotReached(f"{what}: not reached within {within:g} s")
        await asyncio.sleep(pause)
