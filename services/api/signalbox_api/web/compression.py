"""Compression of lists: JSON answers of some size, for clients that take gzip. Plain ASGI."""

import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes from which on it is worth the while.
LEAST = 1024
#: The level that takes least time: a page of a hundred tasks becomes a tenth of its size in less than a millisecond.
LEVEL = 1
#: zlib's code for the format of gzip.
_GZIP = 31


class Compression:
    """Compresses JSON that is sent in one piece; what is streamed stays as it is, and so does what holds secrets.

    Only below /scheduler/: an answer with a secret and a text of the caller's must not be compressed (BREACH).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/scheduler/"):
            await self._app(scope, receive, send)
            return
        accepted = "gzip" in Headers(scope=scope).get("accept-encoding", "").lower()
        start: Message | None = None

        async def compressing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                begun, start = start, None
                if not message.get("more_body", False):
                    message = _compressed(begun, message, accepted=accepted)
                await send(begun)
            await send(message)

        await self._app(scope, receive, compressing)


def _compressed(start: Message, body: Message, *, accepted: bool) -> Message:
    """The body that is sent; the headers in `start` are changed accordingly."""
    headers, data = MutableHeaders(raw=list(start["headers"])), body.get("body", b"")
    if len(data) < LEAST or headers.get("content-type") != "application/json":
        return body
    headers.add_vary_header("Accept-Encoding")
    if accepted:
        packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
        data = packer.compress(data) + packer.flush()
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(data))
    start["headers"] = headers.raw
    return {**body, "body": data}
