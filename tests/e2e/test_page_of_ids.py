"""The page of a task whose id was sent more than once: all its runs, and how a cancelled id runs again."""

import psutil
import pytest
from playwright.async_api import Page, expect

from support.eventually import eventually
from support.page import look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def two_runs(system: System) -> list[Json]:
    """Two runs of one id at once."""
    task = await system.running()
    await system.send("reports.count_stock", seconds=120.0, under=task["task_id"])

    async def both() -> list[Json]:
        found = await system.task(task["task_id"])
        return found["runs"] if found is not None and len(found["runs"]) == 2 else []

    return [{"task_id": task["task_id"], **run} for run in await eventually(both, "two runs at once")]


async def test_several_runs_at_once_are_told_and_a_cancel_ends_all_of_them(page: Page, system: System) -> None:
    runs = await two_runs(system)
    await look_at(page, f"#/tasks/{runs[0]['task_id']}")
    told = page.get_by_test_id("runs-at-once")
    await expect(told).to_contain_text("2 runs at once.")
    for run in runs:
        await expect(told).to_contain_text(f"pid {run['pid']}")
    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()
    await expect(page.get_by_test_id("task-page")).to_have_attribute("data-status", "failed")
    await expect(told).to_have_count(0)
    assert not [run["pid"] for run in runs if psutil.pid_exists(run["pid"])]


async def test_a_cancelled_id_runs_again_once_the_page_has_allowed_it(page: Page, system: System) -> None:
    task = await system.running()
    async with system.client() as client:
        (await client.post(f"/scheduler/cancel-task/{task['task_id']}/")).raise_for_status()
    await look_at(page, f"#/tasks/{task['task_id']}")
    await page.get_by_test_id("allow").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("may run again")
    await system.send("reports.count_stock", seconds=0.1, under=task["task_id"])
    await expect(page.get_by_test_id("task-page")).to_have_attribute("data-status", "completed")
    await expect(page.get_by_test_id("allow")).to_have_count(0)
