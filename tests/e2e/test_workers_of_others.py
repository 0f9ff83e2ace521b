"""Workers that somebody launched in a shell: what the page, the command line and the doctor make of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from signalbox.bus.connection import connect
from signalbox.bus.publisher import publish_events
from signalbox.messages.base import utc_now
from signalbox.messages.events import TaskStarted
from signalbox_local.plan import ROOT
from signalbox_local.services import environment
from support.cli import run
from support.eventually import HANGS
from support.page import look_at
from support.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")


@contextmanager
def a_worker_of_others(system: System, log: Path, *options: str) -> Iterator[int]:
    """`celery worker` with the one variable; its pid."""
    variables = {**environment.shop(system.run.valkey.url), "PYTHONPATH": str(system.data / "guest")}
    line = [str(Path(sys.executable).with_name("celery")), "-A", "shop", "worker", "-c", "1", *options]
    with log.open("ab") as output:
        worker = subprocess.Popen(
            line, cwd=ROOT / "examples", env=os.environ | variables, stdout=output, stderr=output, process_group=0
        )
    try:
        yield worker.pid
    finally:
        os.killpg(worker.pid, 9)
        worker.wait(HANGS)


async def test_a_worker_from_a_shell_is_on_the_page_without_buttons_and_says_why(
    page: Page, system: System, tmp_path: Path
) -> None:
    await look_at(page, "#/processes")
    row = page.locator('[data-testid="process"][data-name="shell"]')
    with a_worker_of_others(system, tmp_path / "celery.log", "-n", "shell@testhost", "-Q", "shell") as pid:
        await expect(row).to_have_attribute("data-state", "running")
        await expect(row).to_contain_text(f"pid {pid}")
        await expect(row.get_by_test_id("queues")).to_have_text("shell")
        await expect(row.get_by_role("button")).to_have_count(0)
        assert "Do that where it was launched" in str(await row.get_by_test_id("guest").get_attribute("title"))
        told = await run("status", data=system.data)
        assert "launched by others: stop and start it where it was started" in told.out
        refused = await run("stop", "--process", "shell", data=system.data)
        assert refused.code == 1
        assert (
            "shell on testhost is running (launched by others: stop and start it where it was started)" in refused.err
        )
    await expect(row).to_have_attribute("data-state", "stopped")
    await system.celery_when("running")


async def test_a_task_that_only_celery_tells_of_is_not_confirmed_and_the_doctor_names_its_worker(
    system: System,
) -> None:
    healthy = await run("doctor", data=system.data)
    assert f"none is known; one that you launch yourself joins with PYTHONPATH={system.data / 'guest'}" in healthy.out
    task_id = "11111111-2222-4333-8444-555555555555"
    told = TaskStarted(
        at=utc_now(),
        task_id=task_id,
        run="0000.0000000000000.events.0",
        celery_name="shop.far.away",
        name="away",
        worker="celery@web-99",
        pid=0,
        certainty="told",
    )
    redis = connect(system.redis.url)
    try:
        await publish_events(redis, [told])
    finally:
        await redis.aclose()
    task = await system.task_when(task_id, "running")
    assert (task["confirmed"], task["host"], task["worker"], task["pid"]) == (False, None, "celery@web-99", None)
    found = await run("doctor", "--json", data=system.data)
    assert found.code == 0
    [check] = [one for one in json.loads(found.out)["checks"] if one["check"] == "workers without an agent"]
    assert check["note"]
    assert check["detail"].startswith("celery@web-99: ")
    assert f"Environment=PYTHONPATH={system.data / 'guest'}" in check["advice"]
    assert "note  workers without an agent: celery@web-99" in (await run("doctor", data=system.data)).out
