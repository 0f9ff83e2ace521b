"""Three hosts on a network of their own: whatever is stopped, started, cut off or lost, the record says what is so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from signalbox.bus.presence import roll_call
from signalbox.bus.publisher import publish_command
from signalbox.messages.base import utc_now
from signalbox.messages.commands import StopProcesses
from support.api import KEY
from support.cli import run
from support.eventually import eventually
from support.networked_hosts import HostNetwork, NetworkedHost, a_host_network
from support.stores.choose import a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Seconds of silence after which what ran on a host is given up.
LOST_AFTER = 12.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_hosts(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, migrated_template: str
) -> AsyncIterator[HostNetwork]:
    folder = tmp_path_factory.mktemp("hosts")
    async with (
        a_redis(folder / "redis") as redis,
        a_database(postgres_server, template=migrated_template) as database,
        a_host_network(redis, postgres_server.url_of(database), folder, lost_after=LOST_AFTER) as hosts,
    ):
        yield hosts


@pytest_asyncio.fixture(loop_scope="module")
async def hosts(running_hosts: HostNetwork) -> HostNetwork:
    """With every worker at work, whatever the test before left."""
    for machine in running_hosts.machines.values():
        machine.plug_in()
    await running_hosts.post("start")
    await running_hosts.agrees()
    return running_hosts


async def test_everything_is_stopped_and_started_on_every_host(hosts: HostNetwork) -> None:
    before = await hosts.agrees()
    http, answer = await hosts.post("stop", mode="immediate")
    assert (http, answer["message"]) == (200, "Celery has been stopped; 0 running tasks were marked as failed")
    assert {process["host"] for process in answer["processes"]} == {"web-a", "web-b", "web-c"}
    await hosts.agrees(stopped=list(before))
    status = await hosts.status()
    assert [status["celery"], *(host["celery"] for host in status["hosts"])] == ["stopped"] * 4
    http, answer = await hosts.post("start")
    assert (http, answer["message"]) == (200, "Celery has been started")
    after = await hosts.agrees()
    assert not set(before.values()) & set(after.values())
    status = await hosts.status()
    assert [status["celery"], *(host["celery"] for host in status["hosts"])] == ["running"] * 4


async def test_one_host_is_stopped_and_the_others_run_on(hosts: HostNetwork) -> None:
    before = await hosts.agrees()
    http, answer = await hosts.post("stop", hosts=["web-b"])
    assert (http, len(answer["processes"])) == (200, 2)
    left = await hosts.agrees(stopped=["web-b/one", "web-b/two"])
    assert left.items() < before.items()
    status = await hosts.status()
    assert [status["celery"], *(host["celery"] for host in status["hosts"])] == [
        "degraded",
        "running",
        "stopped",
        "running",
    ]


async def test_one_process_of_one_host_is_stopped_and_its_namesakes_run_on(hosts: HostNetwork) -> None:
    before = await hosts.agrees()
    http, _ = await hosts.post("stop", hosts=["web-c"], processes=["two"], mode="immediate")
    assert http == 200
    left = await hosts.agrees(stopped=["web-c/two"])
    assert left.items() < before.items()
    assert (await hosts.host("web-c"))["celery"] == "degraded"


async def test_a_host_that_does_not_exist_is_refused_at_once_with_the_names_of_those_that_do(
    hosts: HostNetwork,
) -> None:
    before = await hosts.agrees()
    http, answer = await hosts.post("stop", hosts=["nowhere"])
    assert (http, answer["message"]) == (404, "There is no host 'nowhere'; known are: web-a, web-b, web-c")
    ended = await run("stop", "--host", "nowhere", data=hosts.data)
    assert (ended.code, ended.out) == (1, "")
    assert "There is no host 'nowhere'; known are: web-a, web-b, web-c" in ended.err
    assert await hosts.agrees() == before


@pytest.mark.parametrize("cut", [NetworkedHost.pull, NetworkedHost.swallow])
async def test_a_host_that_is_cut_off_is_unknown_and_what_it_says_when_it_is_back_is_the_truth(
    hosts: HostNetwork, cut: Callable[[NetworkedHost], None]
) -> None:
    before = await hosts.agrees()
    cut_off = hosts.machines["web-c"]
    long, short = await hosts.send("web-c", seconds=90.0), await hosts.send("web-c", seconds=6.0)
    for task_id in (long, short):
        await hosts.task(task_id, status="running", confirmed=True)

    cut(cut_off)
    too_late = await _a_stop_that_expires_soon(hosts, "web-c")
    unknown = await hosts.host_is("web-c", "unknown")
    assert {process["state"] for process in unknown["processes"]} == {"unknown"}
    status = await hosts.status()
    assert [status["celery"], *(host["celery"] for host in status["hosts"])] == [
        "degraded",
        "running",
        "running",
        "unknown",
    ]
    for task_id in (long, short):
        await hosts.task(task_id, status="running", confirmed=False)

    async def is_away() -> bool:
        return "web-c" in (await roll_call(hosts.recording.redis)).away

    await eventually(is_away, "its presence has run out, too")
    # This one it can still carry out when it is back; the one above comes too late then.
    other = {"one@web-c": "two", "two@web-c": "one"}[(await hosts.task(long))["worker"]]
    http, answer = await hosts.post("stop", hosts=["web-c"], processes=[other], mode="immediate", wait=30)
    assert http == 202
    assert "nothing is heard from web-c" in answer["message"]
    for task_id in (long, short):
        given_up = await hosts.task(task_id, status="failed", confirmed=False)
        assert (given_up["outcome"], given_up["error"]) == (
            "worker_lost",
            "Nothing is heard from its host any more, and nobody saw how it ended",
        )
    assert hosts.real() == before  # it only could not be heard

    cut_off.plug_in()
    await hosts.host_is("web-c", "online")
    completed = await hosts.task(short, status="completed", confirmed=True)
    assert 5.5 < completed["runtime"] < LOST_AFTER  # not when it was told
    await hosts.agrees(stopped=[f"web-c/{other}"])
    refused = await hosts.recording.command("refused", too_late)
    assert "it expired at" in refused["detail"]
    await hosts.recording.command("stopped", answer["command_id"])
    await hosts.task(long, status="running", confirmed=True, error=None, finished_at=None)
    _, answer = await hosts.post("stop", hosts=["web-c"], mode="immediate")
    assert answer["tasks_killed"] == 1
    await hosts.task(long, status="failed", outcome="stopped", confirmed=True)


async def test_a_host_that_loses_its_power_is_unknown_and_comes_back_with_new_processes(hosts: HostNetwork) -> None:
    before = await hosts.agrees()
    dead = hosts.machines["web-a"]
    lost = await hosts.send("web-a", seconds=90.0)
    await hosts.task(lost, status="running", confirmed=True)
    await asyncio.to_thread(dead.lose_power)
    await hosts.host_is("web-a", "unknown")
    await hosts.task(lost, status="failed", outcome="worker_lost", confirmed=False)

    dead.plug_in()
    dead.start()
    await hosts.host_is("web-a", "online")
    after = await hosts.agrees()
    assert {key for key in before if before[key] != after[key]} == {"web-a/one", "web-a/two"}
    await hosts.task(lost, status="failed", outcome="worker_lost")


async def _a_stop_that_expires_soon(hosts: HostNetwork, host: str) -> str:
    """Its id."""
    now = utc_now()
    command = StopProcesses(
        command_id=str(uuid4()),
        issued_by="user:alice",
        issued_at=now,
        expires_at=now + timedelta(seconds=1),
        hosts=(host,),
    )
    await publish_command(hosts.recording.redis, KEY, command)
    return command.command_id
