"""Where things stand on the page while what it shows changes."""

import asyncio
import uuid

import pytest
from playwright.async_api import Page, expect

from signalbox_local.services.environment import shop
from support.celery_sender import celery_sender
from support.page import look_at
from support.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: The views of the task list from top to bottom, by what is found in them.
ORDER = """() => [...document.querySelectorAll("#main :is(.filters, .waiting, .rows, .empty, .foot)")]
    .sort((one, other) => one.getBoundingClientRect().top - other.getBoundingClientRect().top)
    .map((one) => one.classList[0])"""


async def _send(system: System, task_id: str) -> None:
    """A task that waits for an hour."""

    def send() -> None:
        with celery_sender(*shop(system.run.valkey.url).values()) as app:
            app.send_task("shop.reports.count_stock", task_id=task_id, countdown=3600.0)

    await asyncio.to_thread(send)


async def test_the_filter_bar_stays_above_the_list_while_tasks_come_and_go(page: Page, system: System) -> None:
    prefix = f"layout-{uuid.uuid4().hex[:8]}"
    rows = page.get_by_test_id("task-row")
    await look_at(page, f"#/tasks?q={prefix}")
    await expect(page.get_by_test_id("empty-match")).to_be_visible()
    assert await page.evaluate(ORDER) == ["filters", "empty"]

    await _send(system, f"{prefix}.0")
    await expect(rows).to_have_count(1)
    assert await page.evaluate(ORDER) == ["filters", "rows", "foot"]

    await page.get_by_test_id("filter-failed").click()
    await expect(page.get_by_test_id("empty-match")).to_be_visible()
    assert await page.evaluate(ORDER) == ["filters", "empty"]
    await page.get_by_test_id("filter-all").click()
    await expect(rows).to_have_count(1)
    assert await page.evaluate(ORDER) == ["filters", "rows", "foot"]

    await rows.get_by_test_id("select").click()
    await _send(system, f"{prefix}.1")
    waiting = page.get_by_test_id("waiting")
    await expect(waiting).to_be_visible()
    assert await page.evaluate(ORDER) == ["filters", "waiting", "rows", "foot"]
    await waiting.click()
    await expect(rows).to_have_count(2)
    assert await page.evaluate(ORDER) == ["filters", "rows", "foot"]
