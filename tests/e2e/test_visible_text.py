"""A task's name that would turn text around, or act on a terminal, is shown as what it is, in page and terminal."""

import asyncio
import uuid

import pytest
from celery import Celery
from playwright.async_api import Page, expect

from signalbox_local.services.environment import shop
from support.cli import run
from support.eventually import eventually
from support.page import look_at
from support.system import Json, System

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = "shop.pay\u202eexe.\x1b[31mred"
SHOWN = r"pay\u202eexe.\x1b[31mred"


async def test_a_hostile_name_is_shown_as_what_it_is(page: Page, system: System) -> None:
    task_id = str(uuid.uuid4())

    def send() -> None:
        broker, _, prefix = shop(system.run.valkey.url).values()
        with Celery(broker=broker, set_as_current=False) as app:
            app.conf.broker_transport_options = {"global_keyprefix": prefix}
            app.send_task(HOSTILE, task_id=task_id)  # no worker knows it, so it fails at once

    async def look() -> Json | None:
        return await system.task(task_id)

    await asyncio.to_thread(send)
    task = await eventually(look, "the task is in the record")
    assert task["celery_name"] == HOSTILE

    await look_at(page, "#/")
    row = page.locator(f'[data-testid="task-row"][data-task-id="{task_id}"]')
    await expect(row).to_contain_text(r"\x1b[31mred")
    await expect(row.locator(".task-name")).to_have_attribute("title", f"shop.{SHOWN}")
    await look_at(page, f"#/tasks/{task_id}")
    await expect(page.get_by_test_id("task-page")).to_contain_text(r"\u202e")
    seen = await page.evaluate("document.documentElement.innerText + document.title")
    assert not {"\u202e", "\x1b"} & set(seen)

    for options in ((), ("--json",)):
        told = await run("tasks", "--q", task_id, *options, data=system.data)
        assert not {"\u202e", "\x1b"} & set(told.out)
        assert r"\x1b[31mred" in told.out or r"\u001b[31mred" in told.out
