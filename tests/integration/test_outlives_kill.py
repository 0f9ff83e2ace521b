"""A worker of which something outlives KILL is not stopped, whoever looks, until the last of it has ended."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.messages.events import ProcessChanged
from support.host import ALICE, ROOT, Host, a_host, lives
from support.stores.server import Redis
from support.unkillable import unkillable

CONFIGURATION = f"""
[apps.traceable]
app = "traceable"
directory = "{ROOT / "tests/support/apps"}"
[apps.traceable.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
SHOP_RESULT_BACKEND = "${{{{SHOP_RESULT_BACKEND}}}}"
[[apps.traceable.workers]]
name = "worker"
concurrency = 1
"""


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey, CONFIGURATION) as one:
        await one.process_is("worker", "running")
        yield one


async def child_of(host: Host) -> int:
    return await host.only_child_of(await host.pid("worker"))


async def test_it_is_stopping_until_the_last_of_it_has_ended_also_for_the_next_controller(host: Host) -> None:
    pid = await child_of(host)
    with unkillable(pid):
        result = await host.commander.stop(ALICE, mode="immediate")
        assert result.verdict == "incomplete"
        [report] = result.processes
        assert (report.state, report.proof) == ("stopping", None)
        assert f"outlived KILL: pid {pid}" in report.message
        again = await host.commander.stop(ALICE)
        assert (again.verdict, again.processes[0].state) == ("incomplete", "stopping")
        await host.end_hard()
        host.start()
        await host.seen_again(ProcessChanged, name="worker", state="stopping")
        assert lives(pid)
    told = await host.process_is("worker", "stopped")
    assert "outlived" not in told.message
    assert not lives(pid)


async def test_one_that_a_person_starts_again_meanwhile_runs_and_a_stop_counts_what_is_left_of_both(
    host: Host,
) -> None:
    pid = await child_of(host)
    with unkillable(pid):
        await host.commander.stop(ALICE, mode="immediate")
        assert (await host.commander.start(ALICE)).verdict == "started"
        result = await host.commander.stop(ALICE)
        assert (result.verdict, result.processes[0].state) == ("incomplete", "stopping")
        assert f"outlived KILL: pid {pid}" in result.processes[0].message
    await host.process_is("worker", "stopped")
