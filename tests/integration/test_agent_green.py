"""The agent in workers whose tasks are greenlets: one of them is killed, seen dead, and told as what it is."""

import json
from collections.abc import Iterator

import pytest

from support.agent.peer import Peer
from support.agent.worker import Worker, a_worker
from support.stores.server import Redis


@pytest.fixture(scope="module", params=["gevent", "eventlet"])
def worker(request: pytest.FixtureRequest, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Shared by the tests of this file, as each looks at tasks of its own only."""
    folder, number = tmp_path_factory.mktemp(request.param), int(request.param == "eventlet")
    with a_worker(
        Peer(folder / "socket"), redis.url_of(number), folder / "log", "-P", request.param, "-c", "10"
    ) as worker:
        yield worker


def stored(worker: Worker, task_id: str) -> str:
    """What whoever waits for the result is told."""
    return str(json.loads(worker.stored(f"celery-task-meta-{task_id}"))["status"])


def test_a_task_is_told_as_running_in_the_workers_process(worker: Worker) -> None:
    task_id, pid = worker.running("nap", 0.01)
    assert pid == worker.process.pid
    assert worker.peer.event("TaskSucceeded", task_id).pid == pid


def test_a_cancelled_task_is_dead_and_not_a_success(worker: Worker) -> None:
    task_id, _ = worker.there("cleans_up", 0.0)
    command = worker.peer.cancel(task_id)
    answer = worker.peer.answer(command)
    assert (answer["state"], answer["shared"]) == ("dead", True)
    assert worker.peer.event("TaskCancelled", task_id).signal == "GreenletExit"
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskCancelled"]
    cancelled = worker.peer.event("TaskCancelled", task_id)
    assert (cancelled.command_id, cancelled.signal, cancelled.killed) == (command, "GreenletExit", ())
    assert stored(worker, task_id) == "REVOKED"
    assert f"[{task_id}] succeeded" not in worker.log()
    assert worker.process.is_running()


def test_a_task_may_clean_up_before_the_deadline(worker: Worker) -> None:
    task_id, _ = worker.there("cleans_up", 0.5)
    command = worker.peer.cancel(task_id, grace=5.0)
    answer = worker.peer.answer(command)
    assert answer["state"] == "dead"
    started = worker.peer.event("TaskStarted", task_id)
    assert (worker.peer.event("TaskCancelled", task_id).at - started.at).total_seconds() >= 0.5


def test_a_cleanup_that_takes_longer_than_the_deadline_is_ended_by_the_next_exit(worker: Worker) -> None:
    task_id, _ = worker.there("cleans_up", 600.0)
    assert worker.peer.answer(worker.peer.cancel(task_id, grace=0.3))["state"] == "dead"


def test_a_task_that_goes_on_whatever_is_thrown_is_said_to_be_alive_and_told_when_it_ends(worker: Worker) -> None:
    task_id, _ = worker.there("clings", 4.0)
    command = worker.peer.cancel(task_id, grace=0.2)
    assert "went on" in worker.peer.state(command, "alive")["detail"]
    assert "TaskCancelled" not in worker.peer.kinds(task_id)
    answer = worker.peer.answer(command)
    assert (answer["state"], answer["status"]) == ("finished", "completed")
    assert worker.peer.event("TaskSucceeded", task_id).result == "'outlived'"
    assert stored(worker, task_id) == "SUCCESS"


def test_a_task_that_takes_the_exit_for_the_end_of_its_work_has_completed(worker: Worker) -> None:
    task_id, _ = worker.there("returns_on_exit")
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert (answer["state"], answer["status"]) == ("finished", "completed")
    assert worker.peer.event("TaskSucceeded", task_id).result == "'completed'"
    assert stored(worker, task_id) == "SUCCESS"


@pytest.mark.parametrize("state", ["handed over", "prefetched", "for later"])
def test_a_task_that_waits_is_dropped_and_never_starts(worker: Worker, state: str) -> None:
    blockers = [] if state == "for later" else [worker.running("nap")[0] for _ in range(10)]
    waiting = [worker.send("nap", 0.0, **({"countdown": 600} if state == "for later" else {})) for _ in range(4)]
    chosen = waiting[0 if state == "handed over" else -1]
    worker.peer.event("TaskReceived", waiting[0])
    if state == "for later":
        worker.peer.event("TaskReceived", chosen)
    answer = worker.peer.answer(worker.peer.cancel(chosen))
    assert answer["state"] in {"dropped", "unknown"}  # a full pool of greenlets takes no more from the queue
    for task_id in (*blockers, *waiting):
        if task_id != chosen:
            worker.peer.answer(worker.peer.cancel(task_id))
    worker.peer.event("TaskDropped", chosen)
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert "TaskStarted" not in worker.peer.kinds(chosen)
    assert stored(worker, chosen) == "REVOKED"


def test_cancels_at_the_moment_of_completion_agree_with_the_result(worker: Worker) -> None:
    for number in range(60):
        task_id, _ = worker.running("nap", 0.005 + number * 0.0005)
        answer = worker.peer.answer(worker.peer.cancel(task_id))
        ended = worker.peer.kinds(task_id)[2:]
        if answer["state"] == "finished":
            assert (ended, stored(worker, task_id)) == (["TaskSucceeded"], "SUCCESS")
        else:
            assert (answer["state"], ended) == ("dead", ["TaskCancelled"])


@pytest.mark.parametrize("task", ["fails_on_exit", "retries_on_exit"])
def test_a_task_that_ends_otherwise_after_the_exit_is_cancelled_and_does_not_come_back(
    worker: Worker, task: str
) -> None:
    task_id, _ = worker.there(task)
    assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dead"
    if task == "retries_on_exit":
        assert worker.peer.event("TaskDropped", task_id).outcome == "cancelled"
    assert worker.peer.kinds(task_id).count("TaskStarted") == 1
    worker.peer.event("TaskCancelled", task_id)


def test_a_program_that_may_be_the_tasks_is_named_and_not_claimed_dead(worker: Worker) -> None:
    task_id, _ = worker.there("launches")
    programs = {child.pid for child in worker.process.children()}
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert answer["state"] == "dead"
    for pid in programs:
        assert str(pid) in answer["detail"]
    for child in worker.process.children():
        child.kill()


def test_a_worker_that_is_kept_busy_says_nothing_and_then_the_truth(worker: Worker) -> None:
    task_id, _ = worker.there("busy", 1.5)
    worker.peer.event("TaskStarted", task_id)  # told when the worker has its turn again
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert (answer["state"], answer["status"]) == ("finished", "completed")


def test_a_revoke_by_somebody_else_is_told_as_such(worker: Worker) -> None:
    task_id, _ = worker.there("cleans_up", 0.3)
    worker.client.control.revoke(task_id, terminate=True)
    failed = worker.peer.event("TaskFailed", task_id)
    assert failed.outcome == "revoked"
    later = worker.send("nap", countdown=1.0)
    worker.peer.event("TaskReceived", later)
    worker.client.control.revoke(later)
    assert worker.peer.event("TaskDropped", later).outcome == "revoked"
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskFailed"]


def test_an_expired_task_is_dropped(worker: Worker) -> None:
    assert worker.peer.event("TaskDropped", worker.send("empty", expires=-1)).outcome == "expired"


@pytest.mark.parametrize("worker", ["gevent"], indirect=True)
def test_a_time_limit_reaches_the_record_where_the_pool_has_one(worker: Worker) -> None:
    task_id, _ = worker.running("limited")
    failed = worker.peer.event("TaskFailed", task_id)
    assert (failed.outcome, failed.error) == ("time_limit", "TimeLimitExceeded: TimeLimitExceeded(1,)")


def test_a_task_that_exits_has_failed_and_its_worker_lives_on(worker: Worker) -> None:
    failed = worker.peer.event("TaskFailed", worker.send("exits"))
    assert (failed.outcome, "SystemExit(3)" in failed.error) == ("error", True)
    worker.peer.event("TaskSucceeded", worker.send("empty"))


def test_nothing_of_the_agent_has_gone_wrong_and_nothing_is_left(worker: Worker) -> None:
    heard = len(worker.peer.lines)
    worker.peer.close()
    worker.peer.open()
    assert worker.peer.line("snapshot", after=heard)["running"] == []
    assert "Signalbox: error" not in worker.log()
