"""Daemons that hide from a search, cancelled and stopped again and again: no answer says more than is true.

Twice each by default; `SIGNALBOX_DAEMONS=20 make chaos` is the long version.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.client.results import CancelResult, ProcessesResult
from signalbox_controller.cancelling.wording import SEARCHED
from support.cgroups import need_cgroups
from support.daemons import DAEMONS, WAYS, Daemon, sent
from support.host import ALICE, Host, a_host, exists, lives
from support.stores.choose import a_redis

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("way", WAYS)]

DAEMONS_OF_EACH_KIND = int(os.environ.get("SIGNALBOX_DAEMONS", "2"))


class Held:
    """A host that holds its tasks in cgroups, or one that has to search for what they start."""

    def __init__(self, host: Host, proof: str) -> None:
        self.host = host
        self._proof = proof

    def check(self, result: CancelResult | ProcessesResult, pid: int) -> None:
        """Compare what was said with the process table."""
        assert result.proof == self._proof
        assert (SEARCHED in result.detail) == (self._proof == "search")
        assert self._proof == "search" or not lives(pid)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["cgroup", "search"])
async def held(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Held]:
    folder, proof = tmp_path_factory.mktemp("daemons"), request.param
    environ = {} if proof == "cgroup" else {"SIGNALBOX_CGROUPS": "off"}
    if proof == "cgroup":
        need_cgroups(folder)
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, DAEMONS, **environ) as host:
        await host.process_is("worker", "running")
        yield Held(host, proof)


@pytest.mark.timeout(120 + 30 * DAEMONS_OF_EACH_KIND)
async def test_a_cancel_claims_the_end_of_no_daemon_that_lives(held: Held, tmp_path: Path, way: str) -> None:
    for number in range(DAEMONS_OF_EACH_KIND):
        daemon = Daemon(tmp_path / f"{number}.pid")
        try:
            started = await sent(held.host, "hides", way, str(daemon.file), 600.0)
            pid = await daemon.pid()
            result = await held.host.commander.cancel(started.task_id, ALICE)
            assert (result.verdict, result.verified, exists(started.pid)) == ("cancelled", True, False)
            held.check(result, pid)
        finally:
            daemon.end()


@pytest.mark.timeout(120 + 60 * DAEMONS_OF_EACH_KIND)
async def test_a_stop_claims_the_end_of_no_daemon_that_lives(held: Held, tmp_path: Path, way: str) -> None:
    for number in range(DAEMONS_OF_EACH_KIND):
        daemon = Daemon(tmp_path / f"{number}.pid")
        try:
            started = await sent(held.host, "hides", way, str(daemon.file), 600.0)
            pid = await daemon.pid()
            result = await held.host.commander.stop(ALICE, mode="immediate")
            assert (result.verdict, result.tasks_killed, exists(started.pid)) == ("stopped", 1, False)
            held.check(result, pid)
            assert (await held.host.commander.start(ALICE)).verdict == "started"
        finally:
            daemon.end()
