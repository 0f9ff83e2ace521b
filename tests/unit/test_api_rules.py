"""Rule 3: the api reads the database and publishes commands. And nothing is open without signing in."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

import signalbox_api
from signalbox_api.auth.credential import Role, allows
from signalbox_api.routes import ROUTERS
from signalbox_api.routes.access import identify

SOURCES = sorted(Path(signalbox_api.__path__[0]).rglob("*.py"))
RECORD = ("tasks", "task_logs", "processes", "hosts", "commands", "command_answers", "reconcilers", "task_counts")

#: The only calls that need no credential; /session is where one gets it, and the page is where one types it in.
#: /readyz says to strangers only whether it is able to serve.
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/session"),
    ("GET", "/"),
    ("GET", "/assets/{path:path}"),
}


def names_used(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_the_api_never_touches_a_process() -> None:
    forbidden = re.compile(
        r"^(signal\b|subprocess|multiprocessing|psutil|os\.(kill|killpg|fork|exec\w*|posix_spawn|system))"
    )
    used = [(source.name, name) for source in SOURCES for name in names_used(source)]
    assert len(used) > 1000
    assert [(source, name) for source, name in used if forbidden.match(name)] == []


def test_the_api_never_writes_status() -> None:
    tables = "|".join(RECORD)
    writes = re.compile(
        rf"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE|ALTER\s+TABLE)\s+({tables})\b|publish_(events|changes)",
        re.IGNORECASE,
    )
    found = {source.name: writes.search(source.read_text(encoding="utf-8")) for source in SOURCES}
    assert [name for name, match in found.items() if match] == []


def asks_who(dependant: Dependant) -> bool:
    return dependant.call is identify or any(asks_who(one) for one in dependant.dependencies)


def routes() -> Iterator[APIRoute]:
    for router in ROUTERS:
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def test_nothing_is_open_without_signing_in() -> None:
    opened = [route for route in routes() if not asks_who(route.dependant)]
    assert {(method, route.path) for route in opened for method in route.methods or ()} == OPEN


def test_the_only_websocket_is_the_live_one() -> None:
    """It asks who is there by itself, because a refusal must come before the handshake ends."""
    sockets = [route.path for router in ROUTERS for route in router.routes if isinstance(route, APIWebSocketRoute)]
    assert sockets == ["/scheduler/live/"]


@pytest.mark.parametrize(
    ("role", "needed", "allowed"),
    [
        ("viewer", "viewer", True),
        ("viewer", "operator", False),
        ("operator", "viewer", True),
        ("operator", "operator", True),
        ("operator", "admin", False),
        ("admin", "operator", True),
        ("admin", "admin", True),
    ],
)
def test_each_role_may_do_what_the_ones_below_it_may(role: Role, needed: Role, allowed: bool) -> None:
    assert allows(role, needed) is allowed
