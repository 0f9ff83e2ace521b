"""Connections that send bytes as they like, as no client does."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from support.eventually import HANGS


@dataclass(frozen=True)
class RawConnection:
    """TCP connection to an api."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send this; an api that has closed is no error."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), HANGS)

    async def answer(self) -> tuple[int, Any]:
        """Status and JSON body of the next answer; 0 where it is closed without one."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), HANGS)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, None
        status, lines = int(head.split()[1]), head.decode().lower().split("\r\n")
        size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length"))
        return status, json.loads(await asyncio.wait_for(self.reader.readexactly(size), HANGS))

    async def is_closed(self) -> bool:
        """Wait until the api has closed it."""
        with suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), HANGS) is not None
        return True

    async def close(self) -> None:
        """Close it."""
        self.writer.close()
        with suppress(ConnectionError):
            await asyncio.wait_for(self.writer.wait_closed(), HANGS)


class RawClient:
    """Makes connections to an api; use it as a context manager, which closes all of them."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._made: list[RawConnection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(connection.close() for connection in self._made))

    async def connect(self, source: str = "127.0.0.1", sends: bytes = b"") -> RawConnection:
        """A connection from this address of ours, which has sent this, and no more."""
        made = asyncio.open_connection(self._parts.hostname, self._parts.port, local_addr=(source, 0))
        self._made.append(RawConnection(*await asyncio.wait_for(made, HANGS)))
        await self._made[-1].send(sends)
        return self._made[-1]

    async def hold(self, number: int, source: str = "127.0.0.1", sends: bytes = b"") -> list[RawConnection]:
        """So many of them."""
        return [await self.connect(source, sends) for _ in range(number)]
