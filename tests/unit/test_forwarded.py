"""A client's address, scheme and host are those that a named proxy gives, not those that it writes itself."""

from ipaddress import ip_address, ip_network

import pytest
from starlette.types import Message, Receive, Scope, Send

from signalbox.errors import SettingsError
from signalbox_api.routes import own_addresses
from signalbox_api.web.forwarded import Forwarded, client_of, host_of, scheme_of
from signalbox_api.web.root_path import check_root_path, within

PROXIES = [ip_network(text) for text in ("127.0.0.1", "10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        # What a client wrote stands left of what the proxies saw.
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.1.2.3", "203.0.113.7:4711", "203.0.113.7"),
        ("fd00::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7, _hidden, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_one_that_is_no_named_proxy(peer: str, forwarded_for: str, client: str) -> None:
    found = client_of(ip_address(peer), forwarded_for, lambda one: any(one in network for network in PROXIES))
    assert str(found) == client


@pytest.mark.parametrize(
    ("kind", "proto", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "HTTP", "http"),
        ("websocket", "https", "wss"),
        ("websocket", "wss", "wss"),
        ("websocket", "http", "ws"),
        ("http", "", None),
        ("http", "gopher", None),
    ],
)
def test_the_scheme_is_the_one_that_the_browser_uses(kind: str, proto: str, scheme: str | None) -> None:
    assert scheme_of(kind, proto) == scheme


@pytest.mark.parametrize(
    ("host", "port", "result"),
    [
        ("ops.example.com", "", "ops.example.com"),
        ("ops.example.com", "8443", "ops.example.com:8443"),
        ("ops.example.com:8443", "443", "ops.example.com:8443"),
        ("[2001:db8::1]", "8443", "[2001:db8::1]:8443"),
        ("[2001:db8::1]:8443", "", "[2001:db8::1]:8443"),
        ("", "8443", None),
        ("ops.example.com/evil", "", None),
        ("a b", "", None),
    ],
)
def test_the_host_is_the_one_that_the_browser_sees(host: str, port: str, result: str | None) -> None:
    assert host_of(host, port) == result


async def passed_on(peer: tuple[str, int] | None, **headers: str) -> Scope:
    """The request as it arrives behind the middleware."""
    seen = list[Scope]()

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await Forwarded(app, PROXIES)(
        {"type": "http", "client": peer, "scheme": "http", "path": "/", "headers": named}, receive, send
    )
    return seen[0]


async def test_a_named_proxy_is_believed() -> None:
    scope = await passed_on(
        ("10.0.0.1", 5),
        host="10.0.0.2:8000",
        x_forwarded_for="203.0.113.7",
        x_forwarded_proto="https",
        x_forwarded_host="ops.example.com",
    )
    assert (scope["client"][0], scope["scheme"]) == ("203.0.113.7", "https")
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"ops.example.com"]


@pytest.mark.parametrize("peer", [("203.0.113.9", 5), None, ("not an address", 0)])
async def test_nobody_else_is_believed_and_the_log_says_so_once(
    peer: tuple[str, int] | None, caplog: pytest.LogCaptureFixture
) -> None:
    forged = {"x_forwarded_for": "203.0.113.7", "x_forwarded_proto": "https", "x_forwarded_host": "evil.example"}
    scope = await passed_on(peer, host="ops.example.com", **forged)
    assert (scope["client"], scope["scheme"]) == (peer, "http")
    assert (b"host", b"ops.example.com") in scope["headers"]
    assert "name it in SIGNALBOX_TRUSTED_PROXIES" in caplog.text


@pytest.mark.parametrize(
    ("path", "raw", "inner", "inner_raw"),
    [
        ("/signalbox/session", b"/signalbox/session", "/session", b"/session"),
        # A proxy has removed it, or there is none.
        ("/session", b"/session", "/session", b"/session"),
        ("/signalboxes", b"/signalboxes", "/signalboxes", b"/signalboxes"),
        ("/signalbox/a/b", b"/signalbox/a%2Fb", "/a/b", b"/a%2Fb"),
        ("/signalbox/a b", b"/%73ignalbox/a%20b", "/a b", b"/a%20b"),
        ("/signalbox/signalbox/x", b"/signalbox/signalbox/x", "/signalbox/x", b"/signalbox/x"),
    ],
)
def test_the_root_path_is_removed_once_from_both_forms_of_a_path(
    path: str, raw: bytes, inner: str, inner_raw: bytes
) -> None:
    scope = within({"path": path, "raw_path": raw}, "/signalbox")
    assert (scope["path"], scope["raw_path"]) == (inner, inner_raw)


@pytest.mark.parametrize("root", ["/scheduler", "/docs/signalbox", "/session", "/readyz"])
def test_a_root_path_that_is_an_address_of_ours_is_refused_with_what_to_do(root: str) -> None:
    with pytest.raises(SettingsError, match="is an address of Signalbox itself; choose another one, as in /signalbox"):
        check_root_path(root, own_addresses())


@pytest.mark.parametrize("root", ["", "/signalbox", "/ops/scheduler", "/docs2"])
def test_any_other_root_path_is_taken(root: str) -> None:
    check_root_path(root, own_addresses())
