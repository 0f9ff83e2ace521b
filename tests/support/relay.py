"""A store of ours, that listens on 127.0.0.1 only, made reachable from the machines of a test's network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


@asynccontextmanager
async def a_relay(address: str, url: str, port: int = 0) -> AsyncIterator[str]:
    """The same url, with another address; everything that arrives there is passed on."""
    parts = urlsplit(url)
    ends: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.add(writer)
        with contextlib.suppress(OSError):
            store_reader, store_writer = await asyncio.open_connection(parts.hostname, parts.port)
            ends.add(store_writer)
            await asyncio.gather(_pass_on(reader, store_writer), _pass_on(store_reader, writer))
            ends.discard(store_writer)
        writer.close()
        ends.discard(writer)

    server = await asyncio.start_server(accept, address, port)
    port = server.sockets[0].getsockname()[1]
    secret = parts.netloc.rpartition("@")[0]
    try:
        yield parts._replace(netloc=f"{secret}@{address}:{port}" if secret else f"{address}:{port}").geturl()
    finally:
        server.close()
        for end in ends:
            end.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
