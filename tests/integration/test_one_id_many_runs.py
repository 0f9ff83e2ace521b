"""One id that runs on several hosts: it is as alive as its liveliest run, and a cancel ends all of them."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from support.host import lives
from support.networked_hosts import HostNetwork, a_host_network
from support.stores.choose import a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Postgres, migrated_template: str
) -> AsyncIterator[HostNetwork]:
    folder = tmp_path_factory.mktemp("hosts")
    async with (
        a_redis(folder / "redis") as redis,
        a_database(postgres_server, template=migrated_template) as database,
        a_host_network(redis, postgres_server.url_of(database), folder, lost_after=60.0) as network,
    ):
        yield network


async def test_a_second_delivery_that_ends_at_once_does_not_hide_that_the_first_one_runs(hosts: HostNetwork) -> None:
    """As it does that finds its lock taken."""
    task_id = str(uuid4())
    await hosts.send_as(task_id, "web-a", seconds=90.0)
    first = await hosts.task(task_id, status="running", host="web-a")
    await hosts.send_as(task_id, "web-b", seconds=0.0)
    await hosts.logs(task_id, running=1, completed=1)
    task = await hosts.task(task_id, status="running", host="web-a")
    assert (task["pid"], task["started_at"]) == (first["pid"], first["started_at"])

    http, answer = await hosts.cancel(task_id)
    assert (http, answer["verified"]) == (200, True)
    assert not lives(first["pid"])
    await hosts.task(task_id, status="failed", outcome="cancelled")


async def test_a_cancel_of_a_broadcast_ends_it_on_every_host(hosts: HostNetwork) -> None:
    task_id = str(uuid4())
    for host in hosts.machines:
        await hosts.send_as(task_id, host, seconds=90.0)
    logs = await hosts.logs(task_id, running=3)
    assert {log["host"] for log in logs} == {"web-a", "web-b", "web-c"}

    http, answer = await hosts.cancel(task_id)
    assert (http, answer["verified"]) == (200, True)
    assert not [log["pid"] for log in logs if lives(log["pid"])]
    logs = await hosts.logs(task_id, failed=3)
    assert {log["outcome"] for log in logs} == {"cancelled"}
    await hosts.task(task_id, status="failed", outcome="cancelled")


async def test_while_another_host_that_runs_it_is_cut_off_a_cancel_is_not_called_proven(hosts: HostNetwork) -> None:
    task_id = str(uuid4())
    for host in ("web-a", "web-b"):
        await hosts.send_as(task_id, host, seconds=90.0)
    pids = {log["host"]: log["pid"] for log in await hosts.logs(task_id, running=2)}
    hosts.machines["web-b"].pull()
    http, answer = await hosts.cancel(task_id, wait=3)
    assert (http, answer["verified"]) == (202, False)
    assert "web-b" in answer["message"]
    assert (lives(pids["web-a"]), lives(pids["web-b"])) == (False, True)
    await hosts.task(task_id, status="running", host="web-b")

    hosts.machines["web-b"].plug_in()
    await hosts.task(task_id, status="failed", outcome="cancelled")
    assert not lives(pids["web-b"])
