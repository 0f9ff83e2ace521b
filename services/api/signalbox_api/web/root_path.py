"""Root path: the path of a proxy below which everything here lies, as in `/signalbox`."""

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalbox.errors import SettingsError


class RootPath:
    """Middleware that removes the root path from the addresses of requests, and adds it to those of redirects.

    A request without it is served as well: some proxies remove it, and a health check goes past them.
    """

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"} or not self._root:
            await self._app(scope, receive, send)
        elif scope["path"] == self._root and scope["type"] == "http":
            # The page names its files relative to its own address, which must end with a slash.
            await RedirectResponse(f"{self._root}/{_query(scope)}", 308)(scope, receive, send)
        else:
            await self._app(within(scope, self._root), receive, self._rooted(send))

    def _rooted(self, send: Send) -> Send:
        async def rooted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, self._location(name, value)) for name, value in message.get("headers", ())]
                message = {**message, "headers": headers}
            await send(message)

        return rooted

    def _location(self, name: bytes, value: bytes) -> bytes:
        """A redirect stays on the host that the browser knows, whatever the Host header was."""
        if name.lower() != b"location":
            return value
        parts = urlsplit(value.decode("latin-1"))
        return (self._root + parts._replace(scheme="", netloc="").geturl()).encode("latin-1")


def within(scope: Scope, root: str) -> Scope:
    """The request as if there were no root path."""
    if not scope["path"].startswith(f"{root}/"):
        return scope
    path, raw = scope["path"].removeprefix(root), scope.get("raw_path") or b""
    prefix = root.encode()
    # A prefix that is percent-encoded needlessly is longer than ours.
    raw = raw.removeprefix(prefix) if raw.startswith(prefix + b"/") else quote(path).encode()
    return {**scope, "path": path, "raw_path": raw}


def check_root_path(root: str, addresses: Iterable[str]) -> None:
    """Refuse a root path that could be taken for one of our own addresses.

    Raises:
        SettingsError: it begins like one of them.
    """
    own = {_first_part(address) for address in addresses} - {""}
    if _first_part(root) in own:
        raise SettingsError(
            f"SIGNALBOX_ROOT_PATH is {root!r}, and /{_first_part(root)} is an address of Signalbox itself;"
            " choose another one, as in /signalbox"
        )


def _first_part(path: str) -> str:
    return path.lstrip("/").partition("/")[0]


def _query(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return f"?{query}" if query else ""
