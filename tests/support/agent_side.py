"""The other end of the agents' socket, to say things that a real agent says only in bad moments."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.eventually import HANGS

Line = dict[str, Any]


class AgentSide:
    """One connection, spoken on by the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, **line: object) -> None:
        """Send a line."""
        await self.write(json.dumps(line).encode() + b"\n")

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def hears(self, kind: str) -> Line:
        """The next line, which must be of this type."""
        async with asyncio.timeout(HANGS):
            data = await self._reader.readline()
        line: Line = json.loads(data) if data else {"type": "the end of the connection"}
        assert line["type"] == kind, line
        return line

    async def is_hung_up_on(self) -> bool:
        """Whether the controller closes the connection, rather than say anything."""
        async with asyncio.timeout(HANGS):
            return await self._reader.read(1) == b""

    async def greet(self, instance: str, **more: object) -> Line:
        """Say hello as a worker; the welcome."""
        hello = {
            "protocol": 1,
            "instance": instance,
            "pid": os.getpid(),
            "kind": "worker",
            "node": "w@h",
            "ready": True,
        }
        await self.say(type="hello", **(hello | more))
        return await self.hears("welcome")


@asynccontextmanager
async def an_agent(path: Path) -> AsyncIterator[AgentSide]:
    """A connection to the socket."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield AgentSide(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
