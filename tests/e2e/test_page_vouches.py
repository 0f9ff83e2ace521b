"""The reconciler, Redis or PostgreSQL away under an open page: it says which and since when, and nothing is green."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from playwright.async_api import Page, expect

from support.browser import Windows
from support.cli import run
from support.eventually import eventually
from support.page import look_at
from support.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

BADGES = ("celery", "worker", "beat")
AWAY = "The reconciler is away: what happens now does not reach the record"


@asynccontextmanager
async def killed(system: System) -> AsyncIterator[None]:
    """Without a reconciler."""
    reconciler = system.run.services["reconciler"]
    await reconciler.kill()
    try:
        yield
    finally:
        reconciler.start()


@asynccontextmanager
async def frozen(system: System) -> AsyncIterator[None]:
    """With a reconciler that stands still."""
    process = psutil.Process(system.run.services["reconciler"].child.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


async def expect_doubt(page: Page, words: str) -> None:
    """Nobody vouches for what the page shows, and it says why."""
    await expect(page.get_by_test_id("stale")).to_contain_text(words)
    await expect(page.get_by_test_id("stale")).to_contain_text(
        re.compile(r"since \d\d:\d\d:\d\d.* is as of \d\d:\d\d:\d\d")
    )
    for badge in BADGES:
        await expect(page.get_by_test_id(f"badge-{badge}")).to_have_attribute("data-state", "unknown")


async def expect_trust(page: Page) -> None:
    """All is well."""
    await expect(page.get_by_test_id("stale")).to_have_count(0)
    await expect(page.get_by_test_id("connection")).to_have_text("live")
    for badge in BADGES:
        await expect(page.get_by_test_id(f"badge-{badge}")).to_have_attribute("data-state", "running")
    assert await page.evaluate("window.neverReloaded")


@pytest.mark.parametrize("without", [killed, frozen])
async def test_while_the_reconciler_is_away_no_lamp_is_green_and_it_is_right_again_by_itself(
    page: Page, system: System, without: object
) -> None:
    await look_at(page, "#/processes")
    await expect_trust(page)
    async with without(system):  # type: ignore[operator]
        await expect_doubt(page, AWAY)
        worker = page.locator('[data-testid="process"][data-name="worker"]')
        await expect(worker).to_have_attribute("data-state", "unknown")
        await expect(worker).to_contain_text(re.compile(r"was running at \d\d:\d\d:\d\d"))
        await expect(page.get_by_test_id("host-badge")).to_have_attribute("data-state", "unknown")
    await expect_trust(page)


async def test_the_time_of_a_running_task_stands_still_while_nobody_vouches_for_it(page: Page, system: System) -> None:
    task = await system.running()
    await look_at(page, "#/tasks")
    row = page.locator(f'[data-task-id="{task["task_id"]}"]')
    await expect(row.get_by_test_id("runtime")).not_to_contain_text("≥")
    async with killed(system):
        await expect_doubt(page, AWAY)
        await expect(row.get_by_test_id("runtime")).to_contain_text("≥")
    await expect_trust(page)
    await expect(row.get_by_test_id("runtime")).not_to_contain_text("≥")
    await expect(row.get_by_test_id("task-status")).to_have_attribute("data-confirmed", "true")


async def test_while_postgres_is_away_the_page_shows_the_last_that_was_read_and_no_green_lamp(
    windows: Windows, system: System
) -> None:
    page = await windows.open_as(*system.admin, expected=["status of 503"])
    await look_at(page, "#/processes")
    await expect_trust(page)
    await system.postgres.stop()
    try:
        await expect_doubt(page, "PostgreSQL is away")
        await expect(page.locator('[data-testid="process"][data-name="worker"]')).to_have_attribute(
            "data-state", "unknown"
        )
    finally:
        await system.postgres.start()
    await expect_trust(page)


async def test_the_command_line_says_first_what_it_cannot_vouch_for(system: System) -> None:
    await system.celery_when("running")
    async with killed(system):
        await system.celery_when("unknown")
        status = await run("status", data=system.data)
        doctor = await run("doctor", data=system.data)
    first, second, third, *_ = status.out.splitlines()
    assert status.code == 1
    assert first.startswith(f"{AWAY} (since ")
    assert second.startswith("What follows is as of ")
    assert third == "Celery: unknown   Worker: unknown   Beat: unknown"
    assert "was running at" in status.out
    assert doctor.code == 1
    assert f"FAIL  reconciler: {AWAY} (since " in doctor.out

    async def trusts_again() -> bool:
        return (await run("status", data=system.data)).code == 0

    await eventually(trusts_again, "the command line vouches again")
