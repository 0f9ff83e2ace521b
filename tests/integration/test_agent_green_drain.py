"""A worker whose tasks are greenlets drains, and its last task is cancelled: told and stored before the worker ends."""

import json
import signal
import time
from pathlib import Path

import pytest

from support.agent.peer import DEADLINE, Peer
from support.agent.worker import Worker, a_worker
from support.stores.server import Redis

#: Seconds until it waits for the pool alone, which nothing tells.
JOINING = 1.0


def drained(worker: Worker) -> None:
    """Begin a warm shutdown, and wait until nothing is left of Celery's but the pool."""
    worker.process.send_signal(signal.SIGTERM)
    worker.peer.line("stopping")
    time.sleep(JOINING)


def stored(worker: Worker, task_id: str) -> str:
    return str(json.loads(worker.stored(f"celery-task-meta-{task_id}"))["status"])


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_a_task_that_is_cancelled_while_its_worker_drains_is_dead_and_its_worker_ends(
    redis: Redis, tmp_path: Path, pool: str
) -> None:
    number = int(pool == "eventlet")
    with a_worker(Peer(tmp_path / "socket"), redis.url_of(number), tmp_path / "log", "-P", pool, "-c", "4") as worker:
        task_id, _ = worker.there("cleans_up", 0.0)
        drained(worker)
        assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dead"
        assert worker.process.wait(DEADLINE) == 0
        assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskCancelled"]
        assert stored(worker, task_id) == "REVOKED"
        assert "Signalbox: error" not in worker.log()
