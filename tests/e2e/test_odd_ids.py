"""Tasks with ids of the application's own making: each is sent, runs, is shown and cancelled, whatever it holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple
from urllib.parse import quote

import httpx
import psutil
import pytest
import pytest_asyncio
from celery import Celery
from playwright.async_api import Page, expect

from signalbox.client.asynchronous import AsyncClient
from signalbox.messages.ids import address_part, task_key
from signalbox_local.services.environment import shop
from support.celery_sender import celery_sender
from support.cli import run
from support.eventually import eventually
from support.odd_ids import LONG_NAME, ODD_IDS, SURROGATE
from support.page import look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with system.client() as one:
        yield one


async def running(system: System, client: httpx.AsyncClient, task_id: str) -> Json:
    """Send a long task under this id; the task once it runs."""

    def send() -> None:
        broker, _, prefix = shop(system.run.valkey.url).values()
        with Celery(broker=broker, set_as_current=False) as app:  # results of such ids are no matter
            app.conf.broker_transport_options = {"global_keyprefix": prefix}
            app.send_task("shop.reports.count_stock", kwargs={"seconds": 120.0}, task_id=task_id)

    await asyncio.to_thread(send)

    async def look() -> Json | None:
        answer = await client.get(f"/scheduler/tasks/{address_part(task_id)}/")
        task: Json = answer.json()
        return task if answer.status_code == 200 and task["status"] == "running" else None

    return await eventually(look, f"task {task_id[:50]!a} running")


async def ended(client: httpx.AsyncClient, task: Json) -> None:
    """Its process is dead, and the record says by what."""
    assert not psutil.pid_exists(task["pid"])

    async def look() -> bool:
        shown = (await client.get(f"/scheduler/tasks/{address_part(task['task_key'])}/")).json()
        return (shown["status"], shown["outcome"]) == ("failed", "cancelled")

    await eventually(look, f"{task['task_key'][:50]} shown as cancelled")


# Ways to cancel


class Caller(NamedTuple):
    """Who cancels, and where."""

    system: System
    client: httpx.AsyncClient


async def by_address(caller: Caller, task_id: str) -> None:
    part = address_part(task_id) if task_id in {".", ".."} else quote(task_id, safe="")  # httpx follows the dots
    answer = await caller.client.post(f"/scheduler/cancel-task/{part}/", json={})
    assert (answer.status_code, answer.json()["task_id"], answer.json()["verified"]) == (200, task_id, True)


async def by_many(caller: Caller, task_id: str) -> None:
    answer = (await caller.client.post("/scheduler/cancel-tasks/", json={"task_ids": [task_id]})).json()
    assert [(task["task_id"], task["outcome"]) for task in answer["tasks"]] == [(task_id, "cancelled")]


async def by_cli(caller: Caller, task_id: str) -> None:
    done = await run(
        "cancel", "--json", "--", task_key(task_id) if "\0" in task_id else task_id, data=caller.system.data
    )
    assert [outcome["verified"] for outcome in json.loads(done.out)] == [True]


async def by_client(caller: Caller, task_id: str) -> None:
    async with AsyncClient(caller.system.run.valkey.url, caller.system.run.key) as service:
        assert (await service.cancel(task_id)).task_id == task_id


WAYS: list[Callable[[Caller, str], Awaitable[None]]] = [by_address, by_many, by_cli, by_client]


async def test_a_task_of_any_id_is_shown_and_cancelled_in_every_way(system: System, client: httpx.AsyncClient) -> None:
    for number, task_id in enumerate(ODD_IDS.values()):
        key = task_key(task_id)
        task = await running(system, client, task_id)
        assert task["task_key"] == key
        listed = (await client.get("/scheduler/tasks/", params={"status": "running", "limit": 50})).json()["items"]
        assert key in {one["task_id"] for one in listed}
        logs = (await client.get(f"/scheduler/tasks/{address_part(task_id)}/logs/")).json()["items"]
        assert [log["pid"] for log in logs] == [task["pid"]]
        await WAYS[number % len(WAYS)](Caller(system, client), task_id)
        await ended(client, task)


async def test_a_cancelled_id_is_refused_and_allowed_again_whatever_it_holds(
    system: System, client: httpx.AsyncClient
) -> None:
    ids = [f"{task_id} again" for task_id in (ODD_IDS[name] for name in ("url", "line breaks", "3000 letters"))]
    for task_id in ids:
        await running(system, client, task_id)
        await by_many(Caller(system, client), task_id)
        allowed = await client.post(f"/scheduler/tasks/{address_part(task_id)}/allow/", json={})
        assert (allowed.status_code, allowed.json()["status"]) == (200, "success")
        await running(system, client, task_id)
        await by_address(Caller(system, client), task_id)


async def test_the_page_shows_and_cancels_a_task_of_any_id(
    page: Page, system: System, client: httpx.AsyncClient
) -> None:
    for name in ("url", "dots", "markup", "3000 letters", "nul"):
        task_id = ODD_IDS[name] if name == "dots" else f"{ODD_IDS[name]} on the page"
        if name == "dots":
            await client.post(f"/scheduler/tasks/{address_part(task_id)}/allow/", json={})
        task = await running(system, client, task_id)
        await look_at(page, f"#/tasks?q={quote(task['task_key'][:60], safe='')}")
        await (
            page.get_by_test_id("task-row").filter(has=page.locator("[data-testid=cancel]")).first.locator("a").click()
        )
        shown = page.get_by_test_id("task-page")
        await expect(shown).to_have_attribute("data-task-id", task["task_key"])
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.get_by_test_id("cancel").click()
        await page.get_by_test_id("confirm-cancel").click()
        await expect(shown).to_have_attribute("data-status", "failed")
        await ended(client, task)


async def test_the_page_of_a_long_id_opens_by_the_whole_of_it(
    page: Page, system: System, client: httpx.AsyncClient
) -> None:
    task_id = ODD_IDS["3000"] + " by its link"
    await running(system, client, task_id)
    await look_at(page, f"#/tasks/{quote(task_id, safe='')}")
    await expect(page.get_by_test_id("task-page")).to_contain_text(task_id)
    await by_client(Caller(system, client), task_id)
    await expect(page.get_by_test_id("task-page")).to_have_attribute("data-status", "failed")  # it is live, too


async def test_a_name_too_long_for_an_index_has_its_row(system: System, client: httpx.AsyncClient) -> None:
    def send() -> str:
        with celery_sender(*shop(system.run.valkey.url).values()) as app:
            sent = app.send_task("shop.reports.count_stock", kwargs={"seconds": 0.0}, shadow=LONG_NAME)
            return str(sent.id)

    task = await system.task_when(await asyncio.to_thread(send), "completed")
    assert task["name"].startswith(LONG_NAME[:200])
    listed = (await client.get("/scheduler/tasks/", params={"name": LONG_NAME})).json()["items"]
    assert [one["task_id"] for one in listed] == [task["task_id"]]


async def test_an_id_that_is_no_text_in_utf_8_is_shown_and_cancelled(system: System, client: httpx.AsyncClient) -> None:
    task = await running(system, client, SURROGATE)
    assert task["task_key"] == task_key(SURROGATE)
    assert task["task_key"].startswith("a\\ud800b…")
    await by_many(Caller(system, client), task["task_key"])
    await ended(client, task)
