"""The page and the api find one word for many processes, each by itself: they must find the same one."""

from random import Random
from typing import Literal, get_args

import msgspec
import pytest
from playwright.async_api import Page

from signalbox.messages.base import ProcessState, utc_now
from signalbox.messages.views import HostView, ProcessView
from signalbox_api.record.status import celery_status
from support.page import look_at

pytestmark = pytest.mark.asyncio(loop_scope="session")

_State = Literal["online", "unknown", "offline"]
_ONLINE: list[_State] = ["online"]
_ANY: list[_State] = ["online", "unknown", "offline"]


async def test_the_page_finds_the_same_words_as_the_api_for_whatever_runs(page: Page) -> None:
    chance = Random(3)  # noqa: S311 - nothing is hidden by it
    cases = [_some_hosts(chance) for _ in range(500)]
    answers = [celery_status(hosts, processes) for hosts, processes in cases]
    shown = [
        [
            {
                **msgspec.to_builtins(host),
                "processes": [msgspec.to_builtins(p) for p in processes if p.host == host.name],
            }
            for host in hosts
        ]
        for hosts, processes in cases
    ]
    await look_at(page, "#/processes")
    found = await page.evaluate(
        "async (cases) => cases.map((await import('/assets/js/model/overall.js')).celeryStatus)", shown
    )
    words = [(one["celery"], one["worker"], one["beat"], [host["celery"] for host in one["hosts"]]) for one in found]
    assert words == [(one.celery, one.worker, one.beat, [host.celery for host in one.hosts]) for one in answers]
    assert {one[0] for one in words} == {"running", "degraded", "stopped", "unknown"}


def _some_hosts(chance: Random) -> tuple[list[HostView], list[ProcessView]]:
    """Hosts and processes in any states; often all alike, as they are."""
    states = chance.choice([["running"], ["stopped", "fatal"], get_args(ProcessState)])
    there = chance.choice([_ONLINE, _ANY])
    hosts = [
        HostView(name=name, state=chance.choice(there), seen_at=utc_now(), proof=None, proof_detail="")
        for name in "abc"[: chance.randint(0, 3)]
    ]
    processes = []
    for host in hosts:
        for kind in chance.choice([["worker"], ["worker", "beat"], ["beat"], []]):
            fields = dict.fromkeys(ProcessView.__struct_fields__) | {"host": host.name, "name": kind, "kind": kind}
            standby = kind == "beat" and chance.random() < 0.3
            state = "stopped" if standby else chance.choice(states)
            guest = kind == "worker" and chance.random() < 0.2
            known = {"guest": guest, "configured": chance.random() < 0.8, "outdated": ""}
            processes.append(ProcessView(**fields | {"state": state, "standby": standby} | known))
    return hosts, processes
