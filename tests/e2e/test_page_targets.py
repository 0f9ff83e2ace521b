"""What the page says that a stop, a start or a restart would hit."""

from typing import Any

import pytest
from playwright.async_api import Page

from support.page import look_at

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _host(name: str, *processes: dict[str, Any], state: str = "online") -> dict[str, Any]:
    return {"name": name, "state": state, "processes": processes}


def _process(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "worker", "state": state, "node": f"{name}@web-1"} | more


async def _of_the_model(page: Page, call: str, *arguments: Any) -> Any:
    return await page.evaluate(
        f"async (given) => (await import('/assets/js/model/power.js')).{call}(...given)", list(arguments)
    )


async def _hit(page: Page, hosts: list[dict[str, Any]], action: str) -> dict[str, list[str]]:
    found = await _of_the_model(page, "targets", {"hosts": hosts}, action)
    return {host["name"]: [process["name"] for process in host["processes"]] for host in found}


async def test_hosts_and_processes_are_named_in_the_order_in_which_people_count(page: Page) -> None:
    await look_at(page, "#/processes")
    names = ["worker-10", "worker-9", "worker-1"]
    beat = _process("beat", "running", kind="beat")
    hosts = [_host(host, beat, *(_process(name, "running") for name in names)) for host in ("web-10", "web-9")]
    hit = await _hit(page, hosts, "stop")
    assert list(hit) == ["web-9", "web-10"]
    assert hit["web-9"] == ["worker-1", "worker-9", "worker-10", "beat"]


async def test_a_beat_that_stands_by_is_stopped_but_neither_started_nor_restarted(page: Page) -> None:
    await look_at(page, "#/processes")
    hosts = [_host("web-1", _process("beat", "stopped", standby=True))]
    assert await _hit(page, hosts, "stop") == {"web-1": ["beat"]}
    assert await _hit(page, hosts, "start") == {}
    assert await _hit(page, hosts, "restart") == {}
    away = [_host("web-1", _process("beat", "stopped", standby=True), state="offline")]
    assert await _hit(page, away, "start") == {"web-1": ["beat"]}


async def test_many_running_tasks_are_told_by_name_and_number(page: Page) -> None:
    await look_at(page, "#/processes")
    names = ["report", "report", "sync", *"abcdef"]
    text = await _of_the_model(page, "fate", [{"name": name} for name in names], False, "immediate")
    assert text == "9 tasks running now: report (2), sync, a, b, c and 3 more. They are killed and marked as failed."


async def test_what_others_launched_is_neither_stopped_nor_started(page: Page) -> None:
    await look_at(page, "#/processes")
    hosts = [_host("web-1", _process("worker", "running"), _process("celery", "running", guest=True))]
    assert await _hit(page, hosts, "stop") == {"web-1": ["worker"]}
    assert await _hit(page, [_host("web-1", _process("celery", "stopped", guest=True))], "start") == {}
