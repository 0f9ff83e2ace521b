"""Wait for an event, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

T = TypeVar("T")
#: Seconds after which what was awaited will not come any more; a machine with four times as much to do comes earlier.
HANGS = 60.0


async def eventually(look: Callable[[], Awaitable[T | None]], what: str, *, within: float = HANGS) -> T:
    """The first true thing that `look` sees; fails the test, saying `what` was waited for, after `within` seconds.

    An AssertionError in `look` counts as "not yet", and is shown when the time is over.
    """
    end = time.monotonic() + within
    last: AssertionError | None = None
    while True:
        try:
            if seen := await look():
                return seen
        except AssertionError as error:
            last = error
        if time.monotonic() > end:
            pytest.fail(f"{what}: not seen within {within:g} s" + (f"; last: {last}" if last else ""))
        await asyncio.sleep(0.02)


def eventually_blocking(look: Callable[[], T | None], what: str, *, within: float = HANGS) -> T:
    """The same for a test without a loop."""
    end = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() > end:
            pytest.fail(f"{what}: not seen within {within:g} s")
        time.sleep(0.002)
    return seen
