"""Processes that hide from a search: a cancel and a stop end them where the kernel holds them in a cgroup.

Elsewhere the answer says what it does not cover.
"""

import fcntl
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.messages.events import HostSeen, TaskCancelled, TaskFailed, TaskStarted, TaskSucceeded
from signalbox_controller.cancelling.wording import SEARCHED
from support.cgroups import cgroup_of, need_cgroups
from support.daemons import DAEMONS, WAYS, Daemon, sent
from support.eventually import eventually
from support.host import ALICE, Host, a_host, exists, lives
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A host with cgroups."""
    need_cgroups(tmp_path_factory.mktemp("probe"))
    folder = tmp_path_factory.mktemp("contained")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, DAEMONS) as one:
        await one.process_is("worker", "running")
        yield one


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path / "daemon.pid")
    yield one
    one.end()


def is_locked(file: Path) -> bool:
    """Whether any process holds the lock that it, or one that it descends from, has taken."""
    with file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def idle(host: Host, seconds: float = 600.0) -> TaskStarted:
    """A task that starts nothing but a helper, which stays with the pool child."""
    return await sent(host, "helped", f"{host.data}/helper", seconds)


@pytest.mark.parametrize("way", WAYS)
async def test_a_cancel_ends_a_daemon_that_no_search_would_find(host: Host, daemon: Daemon, way: str) -> None:
    started = await sent(host, "hides", way, str(daemon.file), 600.0)
    pid = await daemon.pid()
    result = await host.commander.cancel(started.task_id, ALICE)
    assert not exists(started.pid)
    assert not lives(pid)
    assert (result.verdict, result.verified, result.proof) == ("cancelled", True, "cgroup")
    assert SEARCHED not in result.detail
    cancelled = await host.seen(TaskCancelled, task_id=started.task_id)
    assert cancelled.proof == "cgroup"
    assert {started.pid, pid} <= set(cancelled.killed)


@pytest.mark.parametrize("way", WAYS)
async def test_a_stop_ends_a_daemon_that_no_search_would_find(host: Host, daemon: Daemon, way: str) -> None:
    await sent(host, "hides", way, str(daemon.file), 600.0)
    pid = await daemon.pid()
    result = await host.commander.stop(ALICE, mode="immediate")
    assert (result.verdict, result.proof, result.detail) == ("stopped", "cgroup", "")
    assert not lives(pid)
    assert (await host.commander.start(ALICE)).verdict == "started"


async def test_a_cancel_ends_what_forks_faster_than_one_can_look(host: Host, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    started = await sent(host, "hides", "flees", str(lock), 600.0)

    async def flees() -> bool:
        return lock.exists() and lock.read_bytes() == b"1"

    await eventually(flees, "a daemon that flees")
    assert is_locked(lock)
    result = await host.commander.cancel(started.task_id, ALICE)
    assert (result.verdict, result.proof) == ("cancelled", "cgroup")
    assert not is_locked(lock)


async def test_a_task_that_leaves_a_daemon_says_so_and_nobody_elses_cancel_hits_it(host: Host, daemon: Daemon) -> None:
    left = await sent(host, "leaves", "shell", str(daemon.file))
    assert (await host.seen(TaskSucceeded, task_id=left.task_id)).left_processes == 1
    pid = await daemon.pid()
    after = await idle(host)
    assert after.pid == left.pid
    assert (await host.commander.cancel(after.task_id, ALICE)).proof == "cgroup"
    assert not exists(after.pid)
    assert lives(pid)
    result = await host.commander.stop(ALICE, mode="immediate")
    assert (result.verdict, result.proof, result.detail) == ("stopped", "cgroup", "")
    assert not lives(pid)
    assert (await host.commander.start(ALICE)).verdict == "started"


async def test_a_task_that_leaves_nothing_says_nothing(host: Host) -> None:
    first, second = await idle(host, 0.0), await idle(host, 0.0)
    assert first.pid == second.pid
    # The helper is counted once, for the task that has started it.
    counts = [(await host.seen(TaskSucceeded, task_id=one.task_id)).left_processes for one in (first, second)]
    assert counts == [1, 0]


async def test_a_helper_that_serves_the_pool_child_dies_with_the_task_that_it_works_for(host: Host) -> None:
    before = await idle(host, 0.0)
    await host.seen(TaskSucceeded, task_id=before.task_id)
    pid = await Daemon(host.data / "helper").pid()
    after = await idle(host)
    assert after.pid == before.pid
    assert (await host.commander.cancel(after.task_id, ALICE)).proof == "cgroup"
    assert not lives(pid)


async def test_what_a_task_had_hidden_is_ended_when_its_process_dies(host: Host, daemon: Daemon) -> None:
    started = await sent(host, "dies", "cleared", str(daemon.file))
    pid = await daemon.pid()
    assert (await host.seen(TaskFailed, task_id=started.task_id)).outcome == "worker_lost"
    assert not lives(pid)


async def test_a_worker_that_does_not_answer_hides_nothing(host: Host, daemon: Daemon) -> None:
    started = await sent(host, "hides", "cleared", str(daemon.file), 600.0)
    pid, main = await daemon.pid(), await host.pid("worker")
    os.kill(main, signal.SIGSTOP)
    try:
        result = await host.commander.cancel(started.task_id, ALICE)
    finally:
        os.kill(main, signal.SIGCONT)
    assert (result.verdict, result.proof) == ("cancelled", "cgroup")
    assert not lives(pid)


async def test_the_next_controller_has_the_same_proof(host: Host, daemon: Daemon) -> None:
    started = await sent(host, "hides", "forks", str(daemon.file), 600.0)
    pid = await daemon.pid()
    await host.end_hard()
    host.start()
    await host.seen_again(HostSeen)
    result = await host.commander.cancel(started.task_id, ALICE)
    assert (result.verdict, result.proof) == ("cancelled", "cgroup")
    assert not lives(pid)


async def test_a_host_says_that_the_kernel_proves_it_and_leaves_no_cgroup_behind(tmp_path: Path) -> None:
    need_cgroups(tmp_path)
    leaving = {"SIGNALBOX_ON_EXIT": "stop"}
    async with a_redis(tmp_path / "redis") as redis, a_host(tmp_path / "host", redis, DAEMONS, **leaving) as host:
        await host.process_is("worker", "running")
        assert (await host.seen(HostSeen)).proof == "cgroup"
        cgroup = cgroup_of(host.data)
        assert cgroup is not None
        assert cgroup.populated
        await host.end(signal.SIGTERM)
        assert not cgroup.exists


async def test_pool_children_that_are_spawned_have_a_cgroup_too(tmp_path: Path, daemon: Daemon) -> None:
    need_cgroups(tmp_path)
    spawned = DAEMONS.replace("[[apps", 'DAEMONS_START_METHOD = "spawn"\n[[apps', 1)
    async with a_redis(tmp_path / "redis") as redis, a_host(tmp_path / "host", redis, spawned) as host:
        await host.process_is("worker", "running")
        started = await sent(host, "hides", "cleared", str(daemon.file), 600.0)
        pid = await daemon.pid()
        assert (await host.commander.cancel(started.task_id, ALICE)).proof == "cgroup"
        assert not lives(pid)


async def test_without_cgroups_a_cancel_and_a_stop_say_what_they_do_not_cover(tmp_path: Path, daemon: Daemon) -> None:
    off = {"SIGNALBOX_CGROUPS": "off"}
    async with a_redis(tmp_path / "redis") as redis, a_host(tmp_path / "host", redis, DAEMONS, **off) as host:
        await host.process_is("worker", "running")
        started = await sent(host, "hides", "cleared", str(daemon.file), 600.0)
        await daemon.pid()
        result = await host.commander.cancel(started.task_id, ALICE)
        assert not exists(started.pid)
        assert (result.verdict, result.proof) == ("cancelled", "search")
        assert SEARCHED in result.detail
        assert (await host.seen(TaskCancelled, task_id=started.task_id)).proof == "search"
        stop = await host.commander.stop(ALICE, mode="immediate")
        assert (stop.verdict, stop.proof, stop.detail) == ("stopped", "search", SEARCHED)
        again = await host.commander.stop(ALICE, mode="immediate")
        assert (again.verdict, again.proof, again.detail) == ("stopped", None, "")
        seen = await host.seen(HostSeen)
        assert (seen.proof, "SIGNALBOX_CGROUPS" in seen.proof_detail) == ("search", True)
