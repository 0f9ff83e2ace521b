"""What an agent refuses: without any word of a controller, whatever Celery forgot, and however many there are."""

import time
import uuid
from pathlib import Path

from support.agent.peer import Peer
from support.agent.worker import a_worker, gone
from support.stores.server import Redis

MANY = 500


def test_what_it_is_told_to_refuse_is_dropped_or_ended_and_never_runs(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(0), tmp_path / "log", "-c", "1") as worker:
        running, pid = worker.running("nap")
        waits, later, unknown = worker.send("nap", countdown=600), worker.send("nap"), str(uuid.uuid4())
        for task_id in (waits, later):
            peer.event("TaskReceived", task_id)
        peer.say(type="refuse", task_ids=[running, waits, later, unknown])
        failed = peer.event("TaskFailed", running)
        assert (failed.outcome, failed.error) == ("cancelled", "Task cancelled manually")
        assert gone(pid)
        for task_id in (waits, later):
            assert peer.event("TaskDropped", task_id).outcome == "cancelled"
        worker.client.send_task("tasks.nap", task_id=unknown, countdown=600)
        assert peer.event("TaskDropped", unknown).outcome == "cancelled"  # at once, not when its time has come
        worker.result(worker.send("empty"))
        for task_id in (waits, later, unknown):
            assert "TaskStarted" not in peer.kinds(task_id)


def test_a_worker_that_boots_without_a_controller_refuses_what_is_on_disk(
    peer: Peer, redis: Redis, tmp_path: Path
) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "first", "-c", "1") as worker:
        client = worker
    cancelled, other = client.send("nap"), client.send("empty")
    (tmp_path / "cancelled").write_text(f"{int(time.time()) + 600} {cancelled}\n", encoding="utf-8")
    peer.close()
    peer.reading = False  # nobody to be waited for until it is ready
    with a_worker(peer, redis.url_of(1), tmp_path / "second", "-c", "1") as worker:
        worker.result(other)
        peer.reading, peer.acked = True, 0
        peer.come_back()
        assert peer.event("TaskDropped", cancelled).outcome == "cancelled"
        assert "TaskStarted" not in peer.kinds(cancelled)


def test_many_that_wait_are_dropped_each_once_and_the_worker_works_on(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    """For how long its loop is held up meanwhile is measured by `benchmarks/bulk_cancel.py`."""
    with a_worker(peer, redis.url_of(2), tmp_path / "log", "-c", "1") as worker:
        waiting = [worker.send("nap", countdown=600) for _ in range(MANY)]
        peer.event("TaskReceived", waiting[-1])
        peer.say(type="refuse", task_ids=waiting)
        worker.result(worker.send("empty"))
        for task_id in waiting:
            assert peer.event("TaskDropped", task_id).outcome == "cancelled"
            assert peer.kinds(task_id) == ["TaskReceived", "TaskDropped"]
