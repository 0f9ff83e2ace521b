"""A proxy to a store that a test can cut: what is sent meanwhile arrives later, as on a network that heals."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """All connections through one port of ours."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        #: Seconds by which everything comes later.
        self.delay = 0.0

    def url_of(self, url: str) -> str:
        """The address of the same store, another database of it perhaps, by this proxy."""
        parts = urlsplit(url)
        secret = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{secret}@127.0.0.1:{self.port}" if secret else f"127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """Let nothing through, either way, and tell nobody."""
        self._whole.clear()

    def mend(self) -> None:
        """Let everything through again, what was held up first."""
        self._whole.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                store = await asyncio.open_connection(self._parts.hostname, self._parts.port)
                await asyncio.gather(self._pass_on(reader, store[1]), self._pass_on(store[0], writer))
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    await asyncio.sleep(self.delay)
                    await self._whole.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def end(self) -> None:
        """Hang up."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def a_proxy(url: str) -> AsyncIterator[Proxy]:
    """A proxy to this store, until the body ends."""
    proxy = Proxy(url)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.end()
