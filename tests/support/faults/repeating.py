"""Something that is done again and again while a fault lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from support.faults.site import Site


def repeating(
    act: Callable[[Site], Awaitable[object]], pause: float
) -> Callable[[Site], AbstractAsyncContextManager[None]]:
    """Do so, with so many seconds between."""

    async def go_on(site: Site) -> None:
        while True:
            await act(site)
            await asyncio.sleep(pause)

    @asynccontextmanager
    async def repeated(site: Site) -> AsyncIterator[None]:
        acting = asyncio.create_task(go_on(site))
        try:
            yield
        finally:
            acting.cancel()
            with suppress(asyncio.CancelledError):
                await acting

    return repeated
