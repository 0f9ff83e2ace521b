"""The api, or Redis, goes away under an open page: it says so, claims nothing, and is right again by itself."""

import re

import pytest
from playwright.async_api import Page, expect

from signalbox import AsyncClient
from support.browser import Windows
from support.page import look_at
from support.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What the console says while nobody listens, and while the api has only begun to.
AWAY = ["ERR_CONNECTION_REFUSED", "status of 503"]


async def test_a_page_says_that_the_api_is_away_and_knows_what_happened_once_it_is_back(
    windows: Windows, system: System
) -> None:
    page = await windows.open_as(*system.admin, expected=AWAY)
    await look_at(page, "#/processes")
    await expect(page.get_by_test_id("badge-beat")).to_have_attribute("data-state", "running")
    await system.run.services["api"].stop()
    await expect(page.get_by_test_id("connection")).to_contain_text("reconnecting… last news")
    await expect(page.get_by_test_id("stale")).to_contain_text("What you see is")
    for badge in ("celery", "worker", "beat"):
        await expect(page.get_by_test_id(f"badge-{badge}")).to_have_attribute("data-state", "unknown")

    async with AsyncClient(redis_url=system.run.valkey.url, key=system.run.key) as client:
        await client.stop(processes=["beat"], reason="while nobody could look")
    system.run.services["api"].start()
    try:
        await expect(page.get_by_test_id("connection")).to_have_text("live")
        await expect(page.get_by_test_id("badge-beat")).to_have_attribute("data-state", "stopped")
        await expect(page.get_by_test_id("badge-worker")).to_have_attribute("data-state", "running")
        await expect(page.get_by_test_id("status-failed")).to_have_count(0)
        await expect(page.get_by_test_id("stale")).to_have_count(0)
        row = page.locator('[data-testid="process"][data-name="beat"]')
        await expect(row).to_contain_text(re.compile("while nobody could look"))
        assert await page.evaluate("window.neverReloaded")
    finally:
        async with system.client() as again:
            (await again.post("/scheduler/start-celery/")).raise_for_status()


async def test_a_page_says_that_no_changes_come_while_redis_is_away(page: Page, system: System) -> None:
    await look_at(page, "#/processes")
    await system.redis.stop()
    await expect(page.get_by_test_id("connection")).to_have_text("no changes: Redis is away")
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-tone", "busy")
    await system.redis.start()
    await expect(page.get_by_test_id("connection")).to_have_text("live")
    await expect(page.get_by_test_id("badge-celery")).to_have_attribute("data-state", "running")
    assert await page.evaluate("window.neverReloaded")
