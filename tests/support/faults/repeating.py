"""Something that is done again and again while a fault lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from support.faults.site import Site


def repeating(
    act: Callable[[Site], Awaitable[object]], pause: float
) -> Callable[[Site], AbstractAsyncContextManager[None]]:
    """Do so, with so many seconds between."""

    async def go_on(site: Site, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await act(site)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()

    @asynccontextmanager
    async def repeated(site: Site) -> AsyncIterator[None]:
        stop = asyncio.Event()
        acting = asyncio.create_task(go_on(site, stop))
        try:
            yield
        finally:
            stop.set()  # a cancel would be lost in a client whose connection it has just closed
            await acting

    return repeated
