"""The page asks for the changes of what it shows, also when it comes back; one that cannot keep up says so."""

import json
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from support.eventually import eventually
from support.page import look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAILED: Json = {"tasks": {"status": "failed"}, "task": None, "processes": True}
PROCESSES: Json = {"tasks": None, "task": None, "processes": True}


@dataclass
class Connection:
    """A live connection between the page and the api, which the test can cut, and change frames of."""

    route: WebSocketRoute
    sent: list[Json] = field(default_factory=list)
    beats: int = 0
    #: What the page gets for each beat of the server, if anything.
    instead: Json | None = None

    @property
    def asked(self) -> Json:
        """The latest subscription that the server was told, and since when: in the address, or in a message."""
        if self.sent:
            return self.sent[-1]
        query = {name: value for name, [value] in parse_qs(urlsplit(self.route.url).query).items()}
        return query | {"subscription": json.loads(query["subscription"])}


async def connections_of(page: Page) -> list[Connection]:
    """The live connections of the page from now on."""
    found: list[Connection] = []

    def pass_on(route: WebSocketRoute) -> None:
        server, connection = route.connect_to_server(), Connection(route)
        found.append(connection)

        def to_server(message: str | bytes) -> None:
            connection.sent.append(json.loads(message))
            server.send(message)

        def to_page(message: str | bytes) -> None:
            is_beat = json.loads(message)["type"] == "beat"
            connection.beats += is_beat
            route.send(json.dumps(connection.instead) if is_beat and connection.instead else message)

        route.on_message(to_server)
        server.on_message(to_page)

    await page.route_web_socket(re.compile("/scheduler/live/"), pass_on)
    return found


async def test_a_page_asks_for_what_it_shows_and_for_the_same_when_it_comes_back(page: Page, system: System) -> None:
    connections = await connections_of(page)
    await look_at(page, "#/tasks?status=failed")
    assert connections[-1].asked["subscription"] == FAILED

    await page.goto("/#/processes")
    await eventually(lambda: _asks_for(connections[-1], PROCESSES), "the page asks for the changes of processes alone")
    assert connections[-1].asked["since"]

    count = len(connections)
    await connections[-1].route.close()
    await eventually(lambda: _there(len(connections) > count), "the page connects again")
    assert connections[-1].asked["subscription"] == PROCESSES
    assert connections[-1].asked["since"]
    await expect(page.get_by_test_id("connection")).to_have_text("live")
    assert await page.evaluate("window.neverReloaded")

    # What happened meanwhile is in the list that the page turns to.
    task = await system.running("reports.count_stock")
    await page.goto(f"/#/tasks?q={task['task_id']}")
    row = page.get_by_test_id("task-row")
    await expect(row).to_have_count(1)
    await expect(row.get_by_test_id("task-status")).to_have_text("Running")
    await page.goto("/#/processes")
    async with system.client() as client:
        (await client.post(f"/scheduler/cancel-task/{task['task_id']}/")).raise_for_status()
    beats = connections[-1].beats
    await eventually(lambda: _there(connections[-1].beats > beats + 1), "the page has passed over the cancel")
    await page.goto(f"/#/tasks?q={task['task_id']}")
    await expect(row).to_have_count(1)
    await expect(row.get_by_test_id("task-status")).to_have_text("Failed")


async def test_a_page_that_cannot_keep_up_says_so_and_loads_its_list_when_it_can(page: Page) -> None:
    connections = await connections_of(page)
    await look_at(page, "#/tasks")
    behind = [{"part": "page", "since": "2026-01-01T00:00:00Z", "message": "This page cannot keep up"}]
    beat = {"type": "beat", "position": None, "left_out": 1204, "as_of": "2026-01-01T00:00:00Z", "behind": behind}
    connections[-1].instead = beat | {"bus": True}
    await expect(page.get_by_test_id("connection")).to_have_text("1,204 changes not shown")
    await expect(page.get_by_test_id("stale")).to_contain_text("This page cannot keep up")

    async with page.expect_response(re.compile("/scheduler/tasks/")):
        position = f"{10**12}-0"
        connections[-1].instead = None
        connections[-1].route.send(json.dumps({"type": "hello", "position": position, "resync": True}))
    await expect(page.get_by_test_id("connection")).to_have_text("live")


async def _asks_for(connection: Connection, subscription: Json) -> bool:
    return bool(connection.asked["subscription"] == subscription)


async def _there(condition: bool) -> bool:
    return condition
