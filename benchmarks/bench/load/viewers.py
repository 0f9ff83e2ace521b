"""Load of browsers that watch: `python -m bench.load.viewers HOST PORT COUNT SECONDS`, with the token in BENCH_TOKEN.

Each opens the live websocket and reads all that comes. A frame says where it leads to: the position of its last change
in Redis' stream, which begins with the milliseconds at which that was published, right after the commit. Only those are
read of a frame, so that a thousand viewers fit into one process. Prints a line when all are connected, and at the end a
JSON object: milliseconds from there to here (`p50`, `p99`, `most`), `frames`, and how many viewers were cut off.
"""

import asyncio
import json
import os
import re
import sys
import time
from base64 import b64encode
from secrets import token_bytes

from bench.figures import percentile

_POSITION = re.compile(rb'"type":"changes","position":"(\d+)-\d+"')
#: Viewers that connect at once.
_AT_ONCE = 20
_TIMEOUT = 60.0
#: What is looked through for the beginning of a frame.
_HEAD = 120


class Viewer(asyncio.Protocol):
    """A websocket that is read as bytes; a frame of the server is not masked (RFC 6455, section 5.1)."""

    def __init__(self, lateness: list[float], request: bytes) -> None:
        self.open = asyncio.get_running_loop().create_future()
        self.closed = False
        self._lateness = lateness
        self._request = request
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.open.done():
            self.open.set_exception(exc or ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.open.done():
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                self.open.set_exception(ConnectionError(head.decode(errors="replace")))
                return
            self.open.set_result(None)
            self._buffer = rest
        now = time.time()
        while frame := self._frame():
            if found := _POSITION.search(frame):
                self._lateness.append(now * 1000 - int(found[1]))

    def _frame(self) -> bytes:
        """The beginning of the next whole frame, which is taken off the buffer; empty while there is none."""
        data = self._buffer
        if len(data) < 2:
            return b""
        length, start = data[1] & 127, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
            if len(data) < start:
                return b""
        if len(data) < start + length:
            return b""
        self._buffer = data[start + length :]
        return data[: start + min(length, _HEAD)]


async def main(host: str, port: str, count: str, seconds: str) -> None:
    """Connect all, read for so many seconds, print."""
    lateness: list[float] = []
    loop = asyncio.get_running_loop()
    key = b64encode(token_bytes(16)).decode()
    lines = [
        "GET /scheduler/live/ HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Authorization: Bearer {os.environ['BENCH_TOKEN']}",
    ]
    request = "\r\n".join([*lines, "", ""]).encode()
    viewers: list[Viewer] = []
    connections = asyncio.Semaphore(_AT_ONCE)

    async def connect() -> None:
        async with connections, asyncio.timeout(_TIMEOUT):
            _, viewer = await loop.create_connection(lambda: Viewer(lateness, request), host, int(port))
            await viewer.open
            viewers.append(viewer)

    await asyncio.gather(*(connect() for _ in range(int(count))))
    print(json.dumps({"viewers": len(viewers)}), flush=True)
    lateness.clear()
    await asyncio.sleep(float(seconds))
    figures = {name: percentile(lateness, share) for name, share in (("p50", 50), ("p99", 99)) if lateness}
    cut_off = sum(viewer.closed for viewer in viewers)
    print(json.dumps({**figures, "frames": len(lateness), "cut_off": cut_off}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
