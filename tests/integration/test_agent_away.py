"""The agent when something is away: its controller, the broker, Celery's loop, or the pool that it would need."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent.peer import DEADLINE, Peer
from support.agent.worker import AGENT, APP, Worker, a_worker, gone
from support.eventually import eventually, eventually_blocking
from support.stores.server import Redis


@pytest.fixture(scope="module")
def shared_worker(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """For the fixture `worker` only."""
    folder = tmp_path_factory.mktemp("agent")
    peer = Peer(folder / "socket")
    with a_worker(peer, redis.url_of(0), folder / "log", "-c", "2") as worker:
        yield worker
    peer.close()


@pytest.fixture
def worker(shared_worker: Worker) -> Iterator[Worker]:
    """Two children, idle; its controller may go away in a test, and is back afterwards."""
    yield shared_worker
    peer = shared_worker.peer
    peer.close()
    peer.reading = peer.acking = True
    peer.cancelled = []
    peer.come_back()


# The controller


def test_what_happened_while_the_controller_was_away_is_told_when_it_is_back(worker: Worker) -> None:
    peer = worker.peer
    running, _ = worker.running("nap", 0.5)
    heard = len(peer.lines)
    peer.close()
    missed = [worker.send("empty") for _ in range(20)]
    for task_id in missed:
        worker.result(task_id)
    worker.result(running)
    peer.open()
    for task_id in missed:
        peer.event("TaskSucceeded", task_id)
        assert peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    peer.event("TaskSucceeded", running)
    assert peer.line("hello", after=heard)["ready"]
    numbers = sorted({line["seq"] for line in peer.lines if line["type"] == "event"})
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_what_was_not_acknowledged_is_told_again(worker: Worker) -> None:
    peer = worker.peer
    peer.acking = False
    task_id = worker.send("empty")
    peer.event("TaskSucceeded", task_id)
    peer.close()
    peer.open()
    peer.wait(lambda _: peer.kinds(task_id).count("TaskSucceeded") == 2, "the same again")
    assert peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"] * 2


def test_a_snapshot_tells_what_runs_and_what_waits(worker: Worker) -> None:
    peer = worker.peer
    running = dict(worker.running("nap") for _ in range(2))
    waiting = worker.send("nap")
    peer.event("TaskReceived", waiting)
    peer.close()
    snapshot = peer.come_back()
    assert {run["task_id"]: run["pid"] for run in snapshot["running"]} == running
    assert snapshot["reserved"] == [waiting]
    assert snapshot["running"][0]["run"] == peer.event("TaskStarted", snapshot["running"][0]["task_id"]).run
    for task_id in (waiting, *running):
        peer.answer(peer.cancel(task_id))


def test_a_controller_that_never_reads_holds_up_no_task(worker: Worker) -> None:
    peer = worker.peer
    peer.close()
    peer.reading = False
    peer.open()
    assert peer.connected.wait(DEADLINE)
    results = [worker.send("empty") for _ in range(500)]
    for task_id in results:
        worker.result(task_id)
    peer.close()
    peer.reading = True
    peer.open()
    for task_id in results:
        peer.event("TaskSucceeded", task_id)


def test_a_kill_that_was_under_way_when_the_controller_left_is_carried_through(worker: Worker) -> None:
    peer = worker.peer
    task_id, pid = worker.there("cleans_up", 0.5)
    command = peer.cancel(task_id)
    peer.state(command, "signalled")
    peer.close()
    peer.open()
    assert peer.event("TaskCancelled", task_id).command_id == command
    assert gone(pid)
    assert peer.answer(peer.cancel(task_id))["state"] == "dead"


def test_a_worker_starts_without_a_controller_and_finds_it_later(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    peer.close()
    peer.reading = False
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "1") as worker:
        task_id = worker.send("empty")
        worker.result(task_id)
        assert not peer.lines
        peer.reading = True
        peer.open()
        assert peer.event("TaskSucceeded", task_id).outcome == "succeeded"


# What was cancelled meanwhile


def test_what_was_cancelled_while_no_worker_was_up_never_runs(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "first", "-c", "1", "--purge") as worker:
        client = worker
    task_id = client.send("nap")
    peer.cancelled = [task_id]
    peer.acked = 0
    with a_worker(peer, redis.url_of(1), tmp_path / "second", "-c", "1"):
        dropped = peer.event("TaskDropped", task_id)
    assert dropped.outcome == "cancelled"
    assert "TaskStarted" not in peer.kinds(task_id)


def test_what_was_cancelled_and_runs_all_the_same_is_ended(worker: Worker) -> None:
    peer = worker.peer
    running, pid = worker.running("nap")
    waiting = worker.send("nap", countdown=600)
    peer.event("TaskReceived", waiting)
    peer.cancelled = [running, waiting]
    peer.close()
    peer.open()
    failed = peer.event("TaskFailed", running)
    assert (failed.outcome, failed.error) == ("cancelled", "Task cancelled manually")
    assert gone(pid)
    assert peer.event("TaskDropped", waiting).outcome == "cancelled"


# The broker, and Celery's loop


async def test_a_cancel_needs_no_broker(valkey: Redis, peer: Peer, tmp_path: Path) -> None:
    with a_worker(peer, valkey.url, tmp_path / "log", "-c", "2") as worker:
        task_id, pid = worker.running("nap")
        stubborn, other = worker.there("stubborn")
        await valkey.kill()
        peer.say(type="ping")
        peer.line("pong")
        answer = peer.answer(peer.cancel(task_id))
        assert answer["state"] == "dead"
        assert peer.event("TaskCancelled", task_id).signal == "TERM"
        assert gone(pid)
        assert peer.answer(peer.cancel(stubborn, grace=0.3))["state"] == "dead"
        assert peer.event("TaskCancelled", stubborn).signal == "KILL"
        assert gone(other)
        await valkey.start()
        follower = worker.send("empty")
        peer.event("TaskSucceeded", follower)
        assert peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskCancelled"]


async def test_the_end_of_a_task_is_told_while_the_broker_is_away(
    valkey: Redis, redis: Redis, peer: Peer, tmp_path: Path
) -> None:
    """Celery reads nothing from its children then."""
    with a_worker(peer, valkey.url, tmp_path / "log", "-c", "2", store=redis.url_of(3)) as worker:
        task_id, _ = worker.running("nap", 3.0)
        await valkey.kill()
        await eventually(lambda: _says(tmp_path / "log", "Connection to broker lost"), "the loss in Celery's log")
        done = await asyncio.to_thread(peer.event, "TaskSucceeded", task_id)
        assert done.runtime >= 3.0
        await valkey.start()
        peer.event("TaskSucceeded", worker.send("empty"))
        assert peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]


async def test_a_worker_that_holds_messages_outlives_its_broker(valkey: Redis, peer: Peer, tmp_path: Path) -> None:
    """Celery alone would shut down here, and take nothing for as long as its last task runs."""
    with a_worker(peer, valkey.url, tmp_path / "log", "-c", "2") as worker:
        task_id, pid = worker.running("nap")
        peer.event("TaskReceived", worker.send("empty", countdown=300.0))
        await valkey.stop()
        await eventually(lambda: _says(tmp_path / "log", "Connection to broker lost"), "the loss in Celery's log")
        await valkey.start()
        peer.event("TaskSucceeded", worker.send("empty"))
        assert not gone(pid)
        assert not [line for line in peer.lines if line["type"] == "stopping"]
        assert peer.answer(peer.cancel(task_id))["state"] == "dead"


async def _says(log: Path, words: str) -> bool:
    return words in await asyncio.to_thread(log.read_text)


def test_a_cancel_works_while_the_worker_waits_for_its_last_tasks(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "2", "--purge") as worker:
        task_id, pid = worker.running("nap")
        stubborn, other = worker.there("stubborn")
        worker.process.terminate()
        peer.line("stopping")
        answer = peer.answer(peer.cancel(task_id))
        assert answer["state"] == "dead"
        assert peer.event("TaskCancelled", task_id).signal == "TERM"
        assert gone(pid)
        assert peer.answer(peer.cancel(stubborn, grace=0.3))["state"] == "dead"
        assert peer.event("TaskCancelled", stubborn).signal == "KILL"
        assert gone(other)
        assert worker.process.wait(DEADLINE) == 0


def test_a_task_that_ends_during_a_warm_shutdown_is_still_told(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "2", "--purge") as worker:
        task_id, _ = worker.running("nap", 0.7)
        worker.process.terminate()
        peer.line("stopping")
        assert worker.process.wait(DEADLINE) == 0
        assert peer.event("TaskSucceeded", task_id).result == "0.7"


# Other pools, beat, and no agent at all


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_that_cannot_end_one_task_says_so(peer: Peer, redis: Redis, tmp_path: Path, pool: str) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-P", pool, "-c", "1", "--purge") as worker:
        hello = peer.line("hello")
        assert (hello["pool"], hello["abilities"]["cancels_one"]) == (pool, False)
        task_id, _ = worker.running("nap", 1.5)
        answer = peer.answer(peer.cancel(task_id))
        assert answer["state"] == "unsupported"
        assert pool in answer["detail"]
        assert peer.event("TaskSucceeded", task_id).result == "1.5"
        assert "Signalbox" not in worker.log()


def test_a_task_that_waits_for_a_thread_is_dropped(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-P", "threads", "-c", "1", "--purge") as worker:
        blocker, _ = worker.running("nap", 0.5)
        task_id = worker.send("nap", 0.0)
        peer.event("TaskReceived", task_id)
        assert peer.answer(peer.cancel(task_id))["state"] == "dropped"
        peer.event("TaskSucceeded", blocker)
        peer.event("TaskSucceeded", worker.send("empty"))
        assert peer.kinds(task_id) == ["TaskReceived", "TaskDropped"]


def test_children_that_are_spawned_and_not_forked_are_served_too(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    options = ("-c", "1", "--pool-start-method", "spawn", "--purge")
    with a_worker(peer, redis.url_of(1), tmp_path / "log", *options) as worker:
        task_id, pid = worker.running("nap")
        assert peer.answer(peer.cancel(task_id))["state"] == "dead"
        assert gone(pid)
        labelled = worker.send("environment")
        assert json.loads(worker.result(labelled)["text"])["SIGNALBOX_TASK_ID"] == labelled


def test_beat_says_that_it_ticks(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", command="beat") as beat:
        hello = peer.line("hello")
        assert (hello["kind"], hello["pid"]) == ("beat", beat.process.pid)
        first = peer.line("tick")
        second = peer.wait(lambda line: line["type"] == "tick" and line is not first, "a second tick")
        assert 0.0 < first["due_in"] <= 2.0
        assert 0.0 < second["due_in"] <= 2.0
        heard = len(peer.lines)
        peer.close()
        peer.open()
        assert peer.line("hello", after=heard)["ready"]
        peer.line("tick", after=heard)
        beat.process.terminate()
        peer.line("stopping")
        assert beat.process.wait(DEADLINE) == 0


def test_without_a_controller_it_is_plain_celery() -> None:
    environment = {**os.environ, "PYTHONPATH": str(AGENT), "TASKS_URL": "memory://"}
    command = [sys.executable, "-m", "signalbox_agent", "worker", "--help"]
    said = subprocess.run(
        command, cwd=APP, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    plain = [str(Path(sys.executable).with_name("celery")), "worker", "--help"]
    assert said.stdout == subprocess.run(plain, capture_output=True, text=True, check=True).stdout


def test_a_child_holds_nothing_of_the_agents(worker: Worker) -> None:
    peer = worker.peer
    task_id, _ = worker.running("nap")
    peer.answer(peer.cancel(task_id))
    children = dict(worker.running("nap") for _ in range(2))  # one of them was forked while there was a connection
    before = unix_sockets(worker.process.pid)
    peer.close()
    peer.reading = False
    connection = closed_of(worker.process.pid, before)
    for pid in children.values():
        assert not connection & unix_sockets(pid)
        assert "anon_inode:[pidfd]" not in descriptors(pid)
    peer.reading = True
    peer.come_back()
    for task_id in children:
        peer.answer(peer.cancel(task_id))


def descriptors(pid: int) -> set[str]:
    """What the descriptors of a process stand for."""
    return {str(entry.readlink()) for entry in list(Path(f"/proc/{pid}/fd").iterdir()) if entry.is_symlink()}


def unix_sockets(pid: int) -> set[str]:
    """Those that are Unix sockets; each by its inode."""
    inodes = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
    return {name for name in descriptors(pid) if name.startswith("socket:[") and name[8:-1] in inodes}


def closed_of(pid: int, before: set[str]) -> set[str]:
    """Those of these Unix sockets that a process has closed, as soon as there are some."""
    return eventually_blocking(lambda: before - unix_sockets(pid), f"{pid} closes one of {before}")
