"""Tasks with a strategy of their own, such as batches: they are seen running, and no cancel of one is called proven."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent.peer import Peer
from support.agent.worker import Worker, a_worker
from support.stores.server import Redis


@pytest.fixture
def worker(redis: Redis, tmp_path: Path) -> Iterator[Worker]:
    peer = Peer(tmp_path / "socket")
    with a_worker(peer, redis.url_of(0), tmp_path / "log", "-c", "1", "--purge") as worker:
        yield worker
    peer.close()


def pair(worker: Worker, seconds: float) -> list[str]:
    """Two tasks that run as one."""
    return [worker.send("together", seconds) for _ in range(2)]


def test_all_of_a_batch_run_in_the_process_that_runs_it_and_end_with_it(worker: Worker) -> None:
    task_ids = pair(worker, 0.1)
    pid = int(worker.stored(f"there:{task_ids[0]}"))
    for task_id in task_ids:
        assert worker.peer.event("TaskSucceeded", task_id).certainty == "seen"
        assert worker.peer.event("TaskStarted", task_id).pid == pid
        assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]


def test_a_batch_that_raises_has_failed(worker: Worker) -> None:
    for task_id in pair(worker, -1.0):
        failed = worker.peer.event("TaskFailed", task_id)
        assert (failed.outcome, "raised an error" in failed.error) == ("error", True)


def test_a_batch_whose_process_dies_is_lost(worker: Worker) -> None:
    task_ids = pair(worker, 60.0)
    os.kill(worker.peer.event("TaskStarted", task_ids[0]).pid, signal.SIGKILL)
    for task_id in task_ids:
        assert worker.peer.event("TaskFailed", task_id).outcome == "worker_lost"


def test_a_cancel_of_one_of_a_batch_says_why_it_cannot_be_done_and_the_batch_runs_on(worker: Worker) -> None:
    task_ids = pair(worker, 1.0)
    worker.peer.event("TaskStarted", task_ids[0])
    answer = worker.peer.answer(worker.peer.cancel(task_ids[0]))
    assert answer["state"] == "unsupported"
    assert "a batch of 2 tasks" in answer["detail"]
    for task_id in task_ids:
        worker.peer.event("TaskSucceeded", task_id)


def test_a_cancel_of_one_that_its_strategy_has_taken_is_not_called_dropped(worker: Worker) -> None:
    first = worker.send("together", 0.0)
    worker.peer.event("TaskReceived", first)
    assert worker.peer.event("TaskReceived", first).certainty == "told"  # it may run unseen from now on
    answer = worker.peer.answer(worker.peer.cancel(first))
    assert answer["state"] == "unsupported"
    second = worker.send("together", 0.0)
    for task_id in (first, second):
        worker.peer.event("TaskSucceeded", task_id)


def test_one_that_was_cancelled_before_it_came_is_kept_from_its_strategy(worker: Worker) -> None:
    cancelled = "cancelled-before"
    worker.peer.say(type="refuse", task_ids=[cancelled])
    worker.client.send_task("tasks.together", (0.0,), task_id=cancelled)
    assert worker.peer.event("TaskDropped", cancelled).outcome == "cancelled"
    for task_id in pair(worker, 0.0):
        worker.peer.event("TaskSucceeded", task_id)
    assert worker.store.get(f"there:{cancelled}") is None
