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
from support.route_table import read_table

SOURCES = sorted(Path(signalbox_api.__path__[0]).rglob("*.py"))
RECORD = ("tasks", "task_logs", "processes", "hosts", "commands", "command_answers", "reconcilers", "task_counts")


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


def test_each_route_has_its_line_in_the_table_and_each_line_a_route() -> None:
    there = [(method, route.path) for route in routes() for method in route.methods or ()]
    there += [
        ("WS", route.path) for router in ROUTERS for route in router.routes if isinstance(route, APIWebSocketRoute)
    ]
    assert sorted((line.method, line.path) for line in read_table()) == sorted(there)
    assert len(there) == sum(len(router.routes) for router in ROUTERS)  # of each kind that there is


def test_nothing_is_open_without_signing_in_but_what_the_table_says() -> None:
    """The websocket asks who is there by itself, because a refusal must come before the handshake ends."""
    opened = {
        (method, route.path) for route in routes() if not asks_who(route.dependant) for method in route.methods or ()
    }
    # /readyz says to strangers only whether it is able to serve.
    assert opened | {("GET", "/readyz")} == {
        (line.method, line.path) for line in read_table() if line.may("nobody") == "yes"
    }


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
