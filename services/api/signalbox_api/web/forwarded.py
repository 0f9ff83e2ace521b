"""Forwarded headers: what a named proxy says of the client's address, scheme and host; nobody else is believed."""

import logging
import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.settings import Network

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
Headers = list[tuple[bytes, bytes]]

_SECURE = {"https": True, "wss": True, "http": False, "ws": False}
_SCHEMES = {("http", True): "https", ("http", False): "http", ("websocket", True): "wss", ("websocket", False): "ws"}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


class Forwarded:
    """Middleware that replaces the address, the scheme and the Host of a request by those that its proxy names.

    The proxy is the peer of the connection, and must be in one of the networks `trusted`.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            scope = self._translated(scope)
        await self._app(scope, receive, send)

    def _translated(self, scope: Scope) -> Scope:
        peer = read_address(scope["client"][0]) if scope.get("client") else None
        headers = scope["headers"]
        if peer is None or not self._is_trusted(peer):
            self._warn(scope, headers)
            return scope
        client = client_of(peer, _all(headers, b"x-forwarded-for"), self._is_trusted)
        return {
            **scope,
            "client": (str(client), 0),
            "scheme": scheme_of(scope["type"], _first(headers, b"x-forwarded-proto")) or scope["scheme"],
            "headers": _with_host(headers),
        }

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)

    def _warn(self, scope: Scope, headers: Headers) -> None:
        """Say once that a proxy is there which nobody has named."""
        if self._warned or not _all(headers, b"x-forwarded-for"):
            return
        self._warned = True
        log.warning(
            "X-Forwarded-For from %s is not believed; if that is your proxy, name it in SIGNALBOX_TRUSTED_PROXIES",
            scope["client"][0] if scope.get("client") else "an unknown address",
        )


def client_of(peer: Address, forwarded_for: str, is_trusted: Callable[[Address], bool]) -> Address:
    """The first address, from the nearest on, that no named proxy has.

    Each proxy appends the address that it saw, so an entry is as credible as the one to the right of it.
    """
    for entry in reversed(forwarded_for.split(",")):
        found = read_address(entry)
        if found is None or not is_trusted(peer):
            break
        peer = found
    return peer


def scheme_of(kind: str, forwarded_proto: str) -> str | None:
    """The scheme of an ASGI scope of this kind; None where the header has none."""
    secure = _SECURE.get(forwarded_proto.lower())
    return None if secure is None else _SCHEMES[kind, secure]


def host_of(forwarded_host: str, forwarded_port: str) -> str | None:
    """The host, with its port, that the browser sees; None where the headers have none."""
    if not _HOST.fullmatch(forwarded_host):
        return None
    has_port = not forwarded_host.endswith("]") and ":" in forwarded_host
    return forwarded_host if has_port or not forwarded_port.isdecimal() else f"{forwarded_host}:{forwarded_port}"


def read_address(text: str) -> Address | None:
    """An address, with or without a port; None: it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _with_host(headers: Headers) -> Headers:
    host = host_of(_first(headers, b"x-forwarded-host"), _first(headers, b"x-forwarded-port"))
    if host is None:
        return headers
    return [(b"host", host.encode()), *((name, value) for name, value in headers if name != b"host")]


def _all(headers: Headers, wanted: bytes) -> str:
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _first(headers: Headers, wanted: bytes) -> str:
    """The first value: that of the proxy which the browser talks to."""
    return _all(headers, wanted).partition(",")[0].strip()
