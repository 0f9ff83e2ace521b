"""Security middleware: headers of every answer, limits of every request. Plain ASGI, a few microseconds each."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalbox_api.answers.json_response import refusal

#: Bytes of a request's body.
MAX_BODY = 64 * 1024
#: Bytes where a caller may name many tasks: as many as a command takes, with the longest ids.
LARGE_BODY = 2 * 1024 * 1024
LARGE_BODIES = frozenset({"/scheduler/cancel-tasks/"})
#: Seconds for the body of a request to arrive.
BODY_WAIT = 10.0
#: Seconds for a whole request; the longest is to wait for a graceful stop.
REQUEST_WAIT = 660.0

#: Everything comes from us, nothing is inline, nobody frames us.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_ALWAYS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
#: Behind TLS: a browser comes back with TLS alone, for a year (RFC 6797).
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE = (b"cache-control", b"no-store")


class Headers:
    """Adds the security headers to every answer, HSTS behind TLS, and `no-store` unless the answer says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def adding(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                headers = [*message.get("headers", ()), *_ALWAYS]
                if scope.get("scheme") in {"https", "wss"}:
                    headers.append(_HSTS)
                if all(name.lower() != b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, adding)


class Limits:
    """Ends requests whose body is too large or too slow, or that take longer than any of our own does."""

    def __init__(
        self, app: ASGIApp, *, size: int = MAX_BODY, body: float = BODY_WAIT, whole: float = REQUEST_WAIT
    ) -> None:
        self._app = app
        self._size = size
        self._body = body
        self._whole = whole

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = max(self._size, LARGE_BODY) if scope["path"] in LARGE_BODIES else self._size
        body = _Body(receive, size, self._body)
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self._whole):
                await self._app(scope, body.receive, noting)
        except TimeoutError:
            if started:
                raise
            answer = refusal(f"This took longer than {self._whole:g} s and was given up; look at the record", 504)
            await answer(scope, receive, send)


class _Body:
    """Body of a request, with a limit of size and of time.

    A breach is raised as HTTPException, the only kind that FastAPI lets through from here.
    """

    def __init__(self, receive: Receive, size: int, wait: float) -> None:
        self._receive = receive
        self._left = size
        self._size = size
        self._wait = wait
        self._until: float | None = None
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # what comes now is only that the client left
            return await self._receive()
        if self._until is None:
            self._until = asyncio.get_running_loop().time() + self._wait
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError as error:
            words = f"The body of the request did not arrive within {self._wait:g} s; send it again"
            raise HTTPException(408, words) from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, f"The body of the request is larger than {self._size // 1024} KiB; send less")
        self._complete = not message.get("more_body", False)
        return message
