"""The page of hosts and processes: badges that turn at once, and what a person stops, starts and restarts there."""

import os
import re
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import psutil
import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from support.badges import WATCH, shown
from support.browser import Scheme, Windows
from support.eventually import eventually
from support.page import colour, look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def system(system: System) -> AsyncIterator[System]:
    """The shared one; what a test stopped is started again."""
    yield system
    async with system.client() as client:
        await client.post("/scheduler/start-celery/")


async def _badges_say(page: Page, celery: str, worker: str, beat: str) -> None:
    for name, state in {"celery": celery, "worker": worker, "beat": beat}.items():
        badge = page.get_by_test_id(f"badge-{name}")
        await expect(badge).to_have_text(f"{name.capitalize()} {state}")


async def _row(page: Page, name: str = "worker") -> Locator:
    row = page.locator(f'[data-testid="process"][data-name="{name}"]')
    await expect(row).to_have_count(1)
    return row


async def _is(row: Locator, state: str) -> None:
    await expect(row).to_have_attribute("data-state", state)


async def _process(system: System, name: str = "worker") -> Json:
    [host] = (await system.celery_when("running"))["hosts"]
    found: Json = next(process for process in host["processes"] if process["name"] == name)
    return found


async def test_a_host_says_which_proof_it_gives_and_why(page: Page, system: System) -> None:
    [host] = (await system.celery_when("running"))["hosts"]
    await look_at(page, "#/processes")
    proof = page.get_by_test_id("host-proof")
    await expect(proof).to_have_attribute("data-proof", host["proof"])
    await expect(proof).to_have_attribute("title", host["proof_detail"])


async def test_the_badges_turn_to_stopped_and_back_as_celery_is_stopped_and_started(page: Page, system: System) -> None:
    await look_at(page, "#/processes")
    await _badges_say(page, "Running", "Running", "Running")
    worker = await _process(system)
    await page.get_by_test_id("stop-celery").click()
    await expect(page.get_by_test_id("power-hit")).to_contain_text(f"testhost: worker (pid {worker['pid']})")
    await page.get_by_label("Immediate").check()
    await page.get_by_test_id("power-confirm").click()
    await _badges_say(page, "Stopped", "Stopped", "Stopped")
    await expect(page.get_by_test_id("host-badge")).to_have_text("Stopped")
    await expect(page.locator('[data-testid="process"][data-state="stopped"]')).to_have_count(2)
    assert not psutil.pid_exists(worker["pid"])

    await page.get_by_test_id("start-celery").click()
    await page.get_by_test_id("power-confirm").click()
    await _badges_say(page, "Running", "Running", "Running")
    await expect(page.get_by_test_id("host-badge")).to_have_text("Running")
    assert await page.evaluate("window.neverReloaded")


async def test_a_drain_counts_down_and_is_cut_short_when_somebody_will_not_wait(page: Page, system: System) -> None:
    task = await system.running()
    await look_at(page, "#/processes")
    row = await _row(page)
    await row.get_by_test_id("stop").click()
    dialog = page.get_by_test_id("power")
    await expect(dialog).to_contain_text("Stop worker on testhost?")
    await expect(page.get_by_test_id("power-tasks")).to_contain_text(re.compile(r"running now: .*count_stock"))
    await expect(page.get_by_test_id("power-hit")).not_to_contain_text("beat")
    await page.get_by_test_id("power-timeout").fill("40")
    await page.get_by_test_id("power-confirm").click()

    countdown = row.get_by_test_id("drain")
    await expect(countdown).to_have_text(re.compile(r"killed in (40|3\d) s"))
    await expect(countdown).to_have_text(re.compile(r"killed in 3[0-8] s"))
    assert psutil.pid_exists(task["pid"])
    await row.get_by_test_id("stop-now").click()
    await expect(dialog).to_contain_text("Stop worker on testhost now?")
    await expect(page.get_by_label("Immediate")).to_be_checked()
    await expect(page.get_by_test_id("power-tasks")).to_contain_text("killed and marked as failed")
    await page.get_by_test_id("power-confirm").click()
    await _is(row, "stopped")
    await expect(countdown).to_have_count(0)
    await expect(row).to_be_focused()  # the button that was pressed is gone
    assert not psutil.pid_exists(task["pid"])
    await _is(await _row(page, "beat"), "running")
    assert (await system.task_when(task["task_id"], "failed"))["outcome"] == "stopped"
    assert await page.evaluate("window.neverReloaded")


async def test_a_process_is_found_and_restarted_by_keys_alone(page: Page, system: System) -> None:
    before = await _process(system)
    await look_at(page, "#/tasks")
    await page.keyboard.press("p")
    row = await _row(page)
    await page.keyboard.press("j")
    await expect(row).to_be_focused()
    await page.keyboard.press("r")
    await expect(page.get_by_test_id("power-reason")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("power")).to_have_count(0)
    await expect(row).to_be_focused()
    await page.keyboard.press("r")
    await page.keyboard.type("new release")
    await page.keyboard.press("Enter")
    await expect(row).to_contain_text(re.compile(rf"pid (?!{before['pid']}(?!\d))\d+"))
    await _is(row, "running")
    assert not psutil.pid_exists(before["pid"])
    [command] = await system.record("SELECT * FROM commands ORDER BY issued_at DESC LIMIT 1")
    assert (command["command"], command["reason"]) == ("RestartProcesses", "new release")


async def test_a_host_is_restarted_one_process_after_the_other(page: Page, system: System) -> None:
    worker, beat = await _process(system), await _process(system, "beat")
    await look_at(page, "#/processes")
    await page.get_by_test_id("restart-host").click()
    await expect(page.get_by_test_id("power")).to_contain_text("Restart everything on testhost?")
    await page.get_by_test_id("power-confirm").click()
    await expect(page.get_by_test_id("toast")).to_contain_text("restarted")
    for name, old in (("worker", worker["pid"]), ("beat", beat["pid"])):
        await _is(await _row(page, name), "running")
        assert (await _process(system, name))["pid"] != old
        assert not psutil.pid_exists(old)


async def test_a_worker_that_is_killed_fails_its_task_and_shows_the_last_lines_of_its_log(
    page: Page, system: System
) -> None:
    await look_at(page, "#/processes")
    row = await _row(page)
    await _is(row, "running")
    await page.evaluate(WATCH)
    task = await system.running()
    begun = time.time()
    os.kill((await _process(system))["pid"], signal.SIGKILL)
    failed = await system.task_when(task["task_id"], "failed")
    assert (failed["outcome"], failed["confirmed"]) == ("worker_lost", True)
    assert failed["error"] == "Worker lost: signal 9 (SIGKILL)"

    async def said() -> str | None:
        history: list[dict[str, Any]] = await page.evaluate("window.history_")
        return next((one["text"] for one in history if one["what"] == "worker log"), None)

    words = await eventually(said, "the last words on the page")
    assert words.startswith("failed (signal 9 (SIGKILL): ")
    assert "\n" in words
    assert "|" not in words
    assert await shown(page, "worker", "backoff", begun)
    await _is(row, "running")


async def test_a_viewer_reads_on_the_buttons_why_they_do_nothing(windows: Windows, system: System) -> None:
    person = {"name": "victor", "password": "only looking around here", "role": "viewer"}
    async with system.client() as client:
        (await client.post("/scheduler/users/", json=person)).raise_for_status()
    page = await windows.open_as(person["name"], person["password"])
    await look_at(page, "#/processes")
    row = await _row(page)
    for button, doing in (
        (page.get_by_test_id("stop-celery"), "stopping"),
        (row.get_by_test_id("restart"), "restarting"),
    ):
        await expect(button).to_have_attribute("title", f"Your role is viewer; {doing} takes an operator or an admin.")
        await button.click(force=True)
        await expect(page.get_by_test_id("power")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_lamps_have_their_colours(windows: Windows, system: System, scheme: Scheme) -> None:
    page = await windows.open_as(*system.admin, scheme=scheme)
    await look_at(page, "#/processes")
    beat = await _row(page, "beat")
    await _is(beat, "running")
    assert await colour(beat.locator(".lamp"), "backgroundColor") == "green"
    async with system.client() as client:
        (await client.post("/scheduler/stop-celery/", json={"processes": ["beat"]})).raise_for_status()
    await _is(beat, "stopped")
    assert await colour(beat.locator(".lamp"), "backgroundColor") == "gray"
    await expect(page.get_by_test_id("badge-celery")).to_have_attribute("data-state", "degraded")
    assert await colour(page.get_by_test_id("badge-celery").locator(".lamp"), "backgroundColor") == "yellow"
