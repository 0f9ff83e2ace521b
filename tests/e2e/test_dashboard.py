"""The dashboard in a real browser: what a person sees, clicks and types, while real tasks run and die."""

import re
from pathlib import Path

import psutil
import pytest
from playwright.async_api import Locator, Page, expect

from support.browser import REFUSED, Scheme, Windows
from support.cgroups import need_cgroups
from support.page import colour, look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

MESSAGE = "Task cancelled manually"


async def _row(page: Page, task: Json | str) -> Locator:
    """The list with nothing but this task; its row."""
    task_id = task if isinstance(task, str) else task["task_id"]
    await look_at(page, f"#/tasks?q={task_id}")
    return await _only_row(page, task_id)


async def _only_row(page: Page, task_id: str) -> Locator:
    row = page.get_by_test_id("task-row")
    await expect(row).to_have_count(1)
    await expect(row).to_have_attribute("data-task-id", task_id)
    return row


async def _is_red(page: Page, row: Locator) -> None:
    """The row shows a cancelled task, in a page that was there all the time."""
    await expect(row.get_by_test_id("task-status")).to_have_text("Failed")
    await expect(row.get_by_test_id("task-error")).to_have_text(MESSAGE)
    await expect(row.get_by_test_id("task-outcome")).to_have_text("cancelled")
    await expect(row.get_by_test_id("cancel")).to_have_count(0)
    assert await colour(row.get_by_test_id("task-status"), "backgroundColor") == "red"
    assert await page.evaluate("window.neverReloaded")


async def _sign_in(page: Page, user: str, password: str) -> None:
    await page.get_by_label("User").fill(user)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_wrong_password_gets_a_sentence_and_the_right_one_the_tasks(windows: Windows, system: System) -> None:
    user, password = system.admin
    page = await windows.open(expected=[REFUSED])
    await page.goto("/")
    await _sign_in(page, user, "not the password")
    await expect(page.get_by_test_id("sign-in-problem")).to_have_text("The name or the password is wrong")
    await expect(page.get_by_test_id("task-row")).to_have_count(0)

    await _sign_in(page, user, password)
    await expect(page.get_by_test_id("who")).to_have_text(f"{user} admin")
    await expect(page.get_by_test_id("task-row").first).to_be_visible()


async def test_an_open_page_turns_red_when_the_cross_is_clicked_and_confirmed(page: Page, system: System) -> None:
    task = await system.running()
    row = await _row(page, task)
    await expect(row.get_by_test_id("task-status")).to_have_text("Running")
    await row.get_by_test_id("cancel").click()
    dialog = page.get_by_test_id("confirm")
    await expect(dialog.get_by_test_id("confirm-name")).to_have_text("count_stock")
    await expect(dialog.get_by_test_id("confirm-pid")).to_have_text(f"pid {task['pid']}")
    await expect(dialog.get_by_test_id("confirm-runtime")).to_have_text(re.compile(r"^\d+ s$"))
    await expect(dialog.get_by_test_id("confirm-status")).to_have_text("Running")
    await expect(dialog).to_contain_text(task["task_id"])
    await expect(dialog).to_contain_text("testhost")
    await dialog.get_by_test_id("confirm-reason").fill("ran away")
    await dialog.get_by_test_id("confirm-cancel").click()

    await _is_red(page, row)
    await expect(page.get_by_test_id("toast")).to_have_text("Task count_stock has been cancelled and marked as failed")
    await expect(row).to_be_focused()
    assert not psutil.pid_exists(task["pid"])
    [command] = await system.record("SELECT * FROM commands WHERE target = $1", task["task_id"])
    assert (command["issued_by"], command["reason"]) == (f"user:{system.admin[0]}", "ran away")


async def test_an_open_page_turns_red_when_somebody_else_cancels(page: Page, system: System) -> None:
    task = await system.running()
    row = await _row(page, task)
    await expect(row.get_by_test_id("task-status")).to_have_text("Running")
    async with system.client() as client:
        (await client.post(f"/scheduler/cancel-task/{task['task_id']}/")).raise_for_status()
    await _is_red(page, row)
    await expect(page.get_by_test_id("toast")).to_have_count(0)


async def test_the_dialog_counts_the_running_time_and_whoever_keeps_the_task_keeps_it(
    page: Page, system: System
) -> None:
    task = await system.running()
    row = await _row(page, task)
    await row.get_by_test_id("cancel").click()
    runtime = page.get_by_test_id("confirm-runtime")
    before = await runtime.inner_text()
    await expect(runtime).not_to_have_text(before)
    await page.get_by_test_id("confirm-keep").click()
    await expect(page.get_by_test_id("confirm")).to_have_count(0)
    await expect(row.get_by_test_id("cancel")).to_be_enabled()
    assert psutil.pid_exists(task["pid"])
    assert await system.record("SELECT * FROM commands WHERE target = $1", task["task_id"]) == []


async def test_the_row_counts_down_to_kill_for_a_task_that_ignores_term(page: Page, system: System) -> None:
    task = await system.running("stubborn.ignore_term", seconds=120.0)
    row = await _row(page, task)
    await row.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()
    progress = row.get_by_test_id("task-cancelling")
    await expect(progress).to_have_text(re.compile(r"TERM, KILL in [3-5] s"))
    await expect(row.get_by_test_id("cancel")).to_be_disabled()
    assert psutil.pid_exists(task["pid"])
    await expect(progress).to_have_text(re.compile(r"TERM, KILL in [12] s"))
    await _is_red(page, row)
    await expect(progress).to_have_count(0)
    assert not psutil.pid_exists(task["pid"])


async def test_the_page_of_a_task_shows_how_its_log_ends(page: Page, system: System) -> None:
    task = await system.running()
    row = await _row(page, task)
    await row.get_by_role("link", name="count_stock").click()
    log = page.get_by_test_id("log")
    await expect(log.get_by_test_id("log-status")).to_have_text("Running")
    await page.get_by_test_id("cancel").click()
    await page.get_by_test_id("confirm-cancel").click()

    await expect(log.get_by_test_id("log-status")).to_have_text("Failed")
    await expect(log.get_by_test_id("log-error")).to_have_text(MESSAGE)
    await expect(log).to_contain_text(f"pid {task['pid']}")
    shown = page.get_by_test_id("task-page")
    await expect(shown.get_by_test_id("task-status")).to_have_text("Failed")
    await expect(shown.get_by_test_id("task-error")).to_have_text(MESSAGE)
    told = page.get_by_test_id("timeline").get_by_role("listitem")
    await expect(told).to_contain_text(["Created", "Started", "Cancel requested", "Failed"])
    assert await page.evaluate("window.neverReloaded")


async def test_a_task_that_left_a_program_running_says_so_on_its_page(
    page: Page, system: System, tmp_path: Path
) -> None:
    need_cgroups(tmp_path)
    task_id = await system.send("stubborn.leave_program", seconds=20.0)
    await look_at(page, f"#/tasks/{task_id}")
    shown = page.get_by_test_id("left-processes")
    await expect(shown).to_have_text("This task left 1 process running; Signalbox has not ended what it left.")
    told = page.get_by_test_id("timeline").get_by_role("listitem")
    await expect(told).to_contain_text(["Created", "Started", "left 1 process running"])


async def test_a_task_is_found_cancelled_and_opened_by_keys_alone(page: Page, system: System) -> None:
    task = await system.running()
    await look_at(page, "#/tasks")
    await page.keyboard.press("/")
    await expect(page.get_by_test_id("filter")).to_be_focused()
    await page.keyboard.type(task["task_id"])
    row = await _only_row(page, task["task_id"])
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("filter")).not_to_be_focused()
    await page.keyboard.press("j")
    await expect(row).to_be_focused()

    await page.keyboard.press("x")
    await expect(page.get_by_test_id("confirm-cancel")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("confirm")).to_have_count(0)
    await expect(row).to_be_focused()
    assert psutil.pid_exists(task["pid"])
    await page.keyboard.press("x")
    await page.keyboard.press("Enter")
    await _is_red(page, row)
    await expect(row).to_be_focused()

    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("task-page")).to_have_attribute("data-task-id", task["task_id"])
    await page.keyboard.press("Escape")
    await expect(row).to_be_focused()


async def test_a_viewer_reads_on_the_cross_why_it_does_nothing(windows: Windows, system: System) -> None:
    person = {"name": "vera", "password": "only looking around here", "role": "viewer"}
    async with system.client() as client:
        (await client.post("/scheduler/users/", json=person)).raise_for_status()
    task = await system.running()
    page = await windows.open_as(person["name"], person["password"])
    row = await _row(page, task)
    cross = row.get_by_test_id("cancel")
    await expect(cross).to_have_attribute("aria-disabled", "true")
    reason = "Your role is viewer; cancelling takes an operator or an admin."
    await expect(cross).to_have_attribute("title", reason)
    await cross.click(force=True)  # a person can click there, whatever it says
    await expect(page.get_by_test_id("toast")).to_have_text(reason)
    await expect(page.get_by_test_id("confirm")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_four_badges_have_their_colours(windows: Windows, system: System, scheme: Scheme) -> None:
    send = "stubborn.slow_cleanup"
    waiting = await system.send(send, countdown=300.0)
    done = await system.send(send, seconds=0.1, cleanup=0.0)
    running, dead = await system.running(send), await system.running(send)
    async with system.client() as client:
        (await client.post(f"/scheduler/cancel-task/{dead['task_id']}/", json={"grace": 0.1})).raise_for_status()
    await system.task_when(done, "completed")
    expected = {
        running["task_id"]: ("Running", "yellow"),
        dead["task_id"]: ("Failed", "red"),
        done: ("Completed", "green"),
        waiting: ("Pending", "gray"),
    }

    page = await windows.open_as(*system.admin, scheme=scheme)
    await look_at(page, "#/tasks?q=slow_cleanup")
    for task_id, (word, painted) in expected.items():
        badge = page.locator(f'[data-task-id="{task_id}"]').get_by_test_id("task-status")
        await expect(badge).to_have_text(word)
        assert await colour(badge, "backgroundColor") == painted
        assert await colour(badge, "color") == painted


async def test_who_signs_out_gets_the_form_and_comes_back_where_they_were(windows: Windows, system: System) -> None:
    task = await system.running()
    page = await windows.open_as(*system.admin, expected=[REFUSED])
    await look_at(page, f"#/tasks/{task['task_id']}")
    await expect(page.get_by_test_id("task-page")).to_be_visible()
    await page.get_by_test_id("sign-out").click()
    await expect(page.get_by_test_id("sign-in")).to_be_visible()
    await expect(page.get_by_test_id("task-page")).to_have_count(0)
    assert not (await page.request.get("/session")).ok

    await page.reload()
    await _sign_in(page, *system.admin)
    await expect(page.get_by_test_id("task-page")).to_have_attribute("data-task-id", task["task_id"])


async def _end_the_session(page: Page) -> None:
    """The same person signs out elsewhere."""
    [csrf] = [one["value"] for one in await page.context.cookies() if one["name"] == "signalbox_csrf"]
    answer = await page.request.delete("/session", headers={"X-CSRF-Token": csrf})
    assert answer.ok, await answer.text()


async def test_a_session_that_ends_elsewhere_ends_here_in_a_sentence(windows: Windows, system: System) -> None:
    # The page hears of it from whichever comes first: a call, or its live connection that is opened again.
    page = await windows.open_as(*system.admin, expected=[REFUSED, "HTTP Authentication failed"])
    await look_at(page, "#/processes")
    await _end_the_session(page)
    await expect(page.get_by_test_id("sign-in")).to_contain_text("Your session has ended. Sign in to go on.")
    await _sign_in(page, *system.admin)
    await expect(page.get_by_test_id("host")).to_have_attribute("data-host", "testhost")


async def test_a_page_whose_live_connection_was_signed_out_opens_no_other(windows: Windows, system: System) -> None:
    page = await windows.open_as(*system.admin, expected=[REFUSED])
    await look_at(page, "#/tasks")
    # No other call may notice the end of the session first.
    status = await page.request.get("/scheduler/celery-status/")
    await page.route("**/scheduler/celery-status/", lambda route: route.fulfill(response=status))
    opened: list[str] = []
    page.on("websocket", lambda socket: opened.append(socket.url))
    await _end_the_session(page)
    await expect(page.get_by_test_id("sign-in")).to_contain_text("Your session has ended. Sign in to go on.")
    assert not opened
