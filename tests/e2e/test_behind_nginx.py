"""A person and a script behind a real nginx, below a path and behind TLS: sign in, live badge, cancel."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from signalbox_local.plan import Plan
from signalbox_local.ports import free_port
from signalbox_local.services import environment
from signalbox_local.services.readiness import is_serving
from signalbox_local.services.service import Service
from support.browser import REFUSED, Windows
from support.cli import run
from support.eventually import HANGS, eventually
from support.nginx import Nginx, an_nginx
from support.requirement import missing
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

MESSAGE = "Task count_stock has been cancelled and marked as failed"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plan(shared_system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plan]:
    """A second api of the system, a process of its own, that knows of a proxy."""
    system, folder = shared_system, tmp_path_factory.mktemp("api")
    own = Plan(data=folder, port=free_port(), root_path="/signalbox", trusted_proxies="127.0.0.1", log_level="debug")
    base = environment.common(own, redis_url=system.run.valkey.url, key=system.run.key)
    api = Service("api", folder, environment.for_api(base, system.run.postgres.url, own))
    api.start()
    try:
        await eventually(lambda: is_serving(own.url, system.run.token), "the second api is ready")
        yield own
    finally:
        await api.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nginx(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nginx]:
    """The example, in front of that api."""
    async with an_nginx(tmp_path_factory.mktemp("nginx"), f"http://127.0.0.1:{plan.port}") as running:
        yield running


async def curl(nginx: Nginx, path: str, *options: str) -> Json:
    """What curl gets; an answer from 400 on fails the test."""
    if shutil.which("curl") is None:
        missing("no curl on the PATH; apt-get install curl brings it")
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--cacert", str(nginx.certificate)),
        *(*options, nginx.url + path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), HANGS)
    assert process.returncode == 0, (err + out).decode()
    answer: Json = json.loads(out)
    return answer


async def test_a_person_signs_in_sees_a_badge_turn_and_cancels(browser: Browser, system: System, nginx: Nginx) -> None:
    windows = Windows(browser, nginx.url)
    try:
        page = await windows.open(expected=[REFUSED])
        await page.goto(nginx.url)  # without its slash, as people type it
        await page.get_by_label("User").fill(system.admin[0])
        await page.get_by_label("Password").fill(system.admin[1])
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_test_id("connection")).to_have_text("live")
        await page.evaluate("window.neverReloaded = true")

        task = await system.running()
        row = page.locator(f'[data-testid="task-row"][data-task-id="{task["task_id"]}"]')
        await expect(row.get_by_test_id("task-status")).to_have_text("Running")
        await row.get_by_test_id("cancel").click()
        await page.get_by_test_id("confirm-cancel").click()
        await expect(page.get_by_test_id("toast")).to_have_text(MESSAGE)
        await expect(row.get_by_test_id("task-status")).to_have_text("Failed")
        assert await page.evaluate("window.neverReloaded")

        await page.goto(f"{nginx.url}/docs")
        await expect(page.get_by_role("heading", name="Session", exact=True).first).to_be_visible()
        assert not windows.faults
    finally:
        await windows.close()


async def test_a_script_cancels_with_a_token_or_with_a_session(system: System, nginx: Nginx, tmp_path: Path) -> None:
    assert await curl(nginx, "/readyz") == {"status": "ready"}
    bearer = ("--header", f"Authorization: Bearer {system.run.token}")
    task = await system.running()
    answer = await curl(nginx, f"/scheduler/cancel-task/{task['task_id']}/", "--request", "POST", *bearer)
    assert (answer["message"], answer["verified"]) == (MESSAGE, True)

    user, password = system.admin
    jar, as_json = str(tmp_path / "cookies"), ("--header", "Content-Type: application/json")
    person = json.dumps({"username": user, "password": password})
    session = await curl(nginx, "/session", "--cookie-jar", jar, *as_json, "--data", person)
    task = await system.running()
    csrf = (
        "--header",
        f"X-CSRF-Token: {session['csrf']}",
        "--header",
        f"Origin: {nginx.url.removesuffix('/signalbox')}",
    )
    path = f"/scheduler/cancel-task/{task['task_id']}/"
    answer = await curl(nginx, path, "--request", "POST", "--cookie", jar, *csrf)
    assert (answer["message"], answer["verified"]) == (MESSAGE, True)


async def test_the_command_line_takes_an_address_with_a_path(system: System, plan: Plan, tmp_path: Path) -> None:
    told = await run("status", "--url", plan.url, "--token", system.run.token, data=tmp_path)
    assert told.code == 0, told.err
    assert "testhost" in told.out
