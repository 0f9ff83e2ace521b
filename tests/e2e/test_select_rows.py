"""Selecting rows and cancelling them together: by mouse, by keyboard, and all that match beyond what is shown."""

import asyncio
import uuid

import pytest
from playwright.async_api import Locator, Page, expect

from signalbox_local.services.environment import shop
from support.browser import Windows
from support.celery_sender import celery_sender
from support.eventually import eventually
from support.page import look_at
from support.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _waiting(system: System, count: int, after: str = "") -> str:
    """Tasks that wait for an hour; what all of their ids begin with, which are newer than those `after`."""
    prefix = f"{after}.new" if after else f"select-{uuid.uuid4().hex[:8]}"

    def send() -> None:
        with celery_sender(*shop(system.run.valkey.url).values()) as app:
            for number in range(count):
                app.send_task("shop.reports.count_stock", task_id=f"{prefix}.{number:04d}", countdown=3600.0)

    await asyncio.to_thread(send)

    async def look() -> bool:
        [row] = await system.record("select count(*) from tasks where starts_with(task_id, $1)", prefix)
        return bool(row["count"] == count)

    await eventually(look, f"{count} tasks of {prefix}")
    return prefix


async def _listed(page: Page, prefix: str, count: int) -> Locator:
    """The list with nothing but these; their rows, newest first."""
    await look_at(page, f"#/tasks?status=pending&q={prefix}")
    rows = page.get_by_test_id("task-row")
    await expect(rows).to_have_count(count)
    return rows


async def test_a_range_is_selected_with_shift_and_cancelled_after_a_question_that_names_it(
    page: Page, system: System
) -> None:
    prefix = await _waiting(system, 10)
    rows = await _listed(page, prefix, 10)

    await rows.nth(1).get_by_test_id("select").click()
    await rows.nth(8).get_by_test_id("select").click(modifiers=["Shift"])
    await expect(page.get_by_test_id("selected")).to_have_text("8 selected")
    await page.get_by_test_id("cancel-selected").click()

    await expect(page.get_by_test_id("bulk-confirm")).to_contain_text("Cancel 8 tasks?")
    await expect(page.get_by_test_id("bulk-hit").get_by_role("listitem")).to_have_count(7)
    await expect(page.get_by_test_id("bulk-more")).to_have_text("and 2 more")
    await expect(page.get_by_test_id("bulk-note")).to_have_text("8 wait, and are dropped. This cannot be undone.")
    await page.get_by_test_id("bulk-reason").fill("wrong prices")
    await page.get_by_test_id("bulk-cancel").click()

    outcome = page.get_by_test_id("bulk-outcome")
    await expect(outcome).to_have_text("All 8 tasks have been cancelled and marked as failed.")
    left = await system.record(
        "select task_id from tasks where starts_with(task_id, $1) and status = 'pending' order by task_id", prefix
    )
    assert [row["task_id"] for row in left] == [f"{prefix}.0000", f"{prefix}.0009"]
    [line] = await system.record("select reason from commands order by issued_at desc limit 1")
    assert line["reason"] == "wrong prices"
    await page.get_by_test_id("bulk-close").click()
    await expect(page.get_by_test_id("bulk")).to_have_count(0)


async def test_rows_stay_where_they_are_while_some_are_selected(page: Page, system: System) -> None:
    prefix = await _waiting(system, 3)
    rows = await _listed(page, prefix, 3)
    before = [await rows.nth(number).get_attribute("data-task-id") for number in range(3)]
    await rows.nth(0).get_by_test_id("select").click()
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement.blur()")

    async with system.client() as client:
        await client.post(f"/scheduler/cancel-task/{prefix}.0000/")
    await expect(rows.nth(2).get_by_test_id("task-status")).to_have_text("Failed")

    await _waiting(system, 1, prefix)
    await expect(page.get_by_test_id("waiting")).to_have_text("Show 1 new task")

    assert [await rows.nth(number).get_attribute("data-task-id") for number in range(await rows.count())] == before
    await page.keyboard.press("Escape")
    await expect(rows.nth(0)).to_have_attribute("data-task-id", f"{prefix}.new.0000")


async def test_all_that_match_are_counted_beyond_what_is_shown_and_cancelled(page: Page, system: System) -> None:
    prefix = await _waiting(system, 130)
    rows = await _listed(page, prefix, 100)

    await page.get_by_test_id("select-shown").click()
    await expect(page.get_by_test_id("selected")).to_have_text("100 selected")
    await page.get_by_test_id("select-matching").click()
    await expect(page.get_by_test_id("selected")).to_have_text("All 130 that match now, 0 of them running")
    await page.get_by_test_id("cancel-selected").click()
    await expect(page.get_by_test_id("bulk-more")).to_have_text("and 124 more")
    await page.get_by_test_id("bulk-cancel").click()

    outcome = page.get_by_test_id("bulk-outcome")
    await expect(outcome).to_have_text("All 130 tasks have been cancelled and marked as failed.")
    await expect(rows.nth(0).get_by_test_id("task-status")).to_have_text("Failed")


async def test_the_keyboard_selects_from_row_to_row_and_asks(page: Page, system: System) -> None:
    prefix = await _waiting(system, 4)
    rows = await _listed(page, prefix, 4)

    await page.keyboard.press("j")
    await page.keyboard.press("Shift+J")
    await page.keyboard.press("Shift+J")
    await expect(page.get_by_test_id("selected")).to_have_text("3 selected")
    await page.keyboard.press("Space")
    await expect(page.get_by_test_id("selected")).to_have_text("2 selected")
    await page.keyboard.press("x")
    await expect(page.get_by_test_id("bulk-confirm")).to_contain_text("Cancel 2 tasks?")
    await page.keyboard.press("Enter")

    outcome = page.get_by_test_id("bulk-outcome")
    await expect(outcome).to_have_text("All 2 tasks have been cancelled and marked as failed.")
    await expect(rows.nth(0).get_by_test_id("task-status")).to_have_text("Failed")


async def test_a_viewer_sees_why_nothing_can_be_selected(windows: Windows, system: System) -> None:
    prefix = await _waiting(system, 1)
    name = f"viewer-{prefix}"
    async with system.client() as client:
        user = {"name": name, "password": "a password for tests", "role": "viewer"}
        (await client.post("/scheduler/users/", json=user)).raise_for_status()
    page = await windows.open_as(name, "a password for tests")
    rows = await _listed(page, prefix, 1)

    box = rows.nth(0).get_by_test_id("select")
    await expect(box).to_be_disabled()
    await expect(box).to_have_attribute("title", "Your role is viewer; cancelling takes an operator or an admin.")
