"""Cancels of tasks that run, wait or have not come yet, in one worker with the agent, and what is told of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.agent.peer import DEADLINE, Peer
from support.agent.worker import Worker, a_worker, dead, expect_nothing_left, gone
from support.stores.server import Redis


@pytest.fixture
def lone_worker(redis: Redis, tmp_path: Path) -> Iterator[Worker]:
    """One child, and a queue that no other worker reads."""
    with a_worker(Peer(tmp_path / "socket"), redis.url_of(1), tmp_path / "log", "-c", "1", "--purge") as worker:
        yield worker


#: The events after which nothing more is told of a run.
ENDS = ("TaskSucceeded", "TaskFailed", "TaskCancelled", "TaskDropped")


def launched_by(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()]


def test_the_process_is_gone_when_its_death_is_told(worker: Worker) -> None:
    task_id, pid = worker.running("nap")
    command = worker.peer.cancel(task_id)
    answer = worker.peer.answer(command)
    assert gone(pid)
    assert (answer["state"], answer["pid"], answer["strays"]) == ("dead", pid, [])
    assert worker.peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskCancelled"]
    cancelled = worker.peer.event("TaskCancelled", task_id)
    assert (cancelled.command_id, cancelled.pid, cancelled.error) == (command, pid, "Task cancelled manually")
    assert (cancelled.signal, list(cancelled.killed)) == ("TERM", [pid])


def test_celery_calls_it_revoked_afterwards(worker: Worker) -> None:
    task_id, _ = worker.running("nap")
    worker.peer.answer(worker.peer.cancel(task_id))
    with pytest.raises(RuntimeError, match=r"REVOKED.*terminated"):
        worker.result(task_id)


def test_a_task_that_ignores_term_is_killed_at_the_deadline(worker: Worker) -> None:
    task_id, pid = worker.there("stubborn")
    begin = time.monotonic()
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=0.5))
    assert worker.peer.when(answer) - begin > 0.45
    assert gone(pid)
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "KILL"


def test_a_task_may_clean_up_before_the_deadline(worker: Worker) -> None:
    task_id, pid = worker.there("cleans_up", 0.4)
    begin = time.monotonic()
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert worker.peer.when(answer) - begin > 0.4
    assert gone(pid)
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "TERM"
    assert worker.peer.event("TaskSignalled", task_id).kill_at is not None


@pytest.mark.parametrize("detached", [False, True], ids=["in its session", "in a session of its own"])
def test_what_the_task_has_launched_dies_with_it(worker: Worker, detached: bool) -> None:
    task_id, pid = worker.there("launches", detached)
    (program,) = launched_by(pid)
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert gone(pid)
    assert dead(program)
    assert answer["state"] == "dead"
    assert sorted(worker.peer.event("TaskCancelled", task_id).killed) == sorted([pid, program])


def test_a_program_that_ignores_term_is_killed_at_the_deadline(worker: Worker) -> None:
    task_id, pid = worker.there("launches", False, True)
    (program,) = launched_by(pid)
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=0.4))
    assert gone(pid)
    assert dead(program)
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "KILL"


def test_what_the_task_launches_after_the_term_dies_too(worker: Worker, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    task_id, pid = worker.there("launches_at_the_end", str(mark))
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    program = int(mark.read_text())
    assert dead(program)
    assert gone(pid)
    assert answer["state"] == "dead"
    assert sorted(worker.peer.event("TaskCancelled", task_id).killed) == sorted([pid, program])


def test_two_cancels_of_one_task_get_the_same_answer_and_leave_one_in_the_record(worker: Worker) -> None:
    task_id, _ = worker.there("cleans_up", 0.3)
    commands = [worker.peer.cancel(task_id), worker.peer.cancel(task_id)]
    first, second = (worker.peer.answer(command) for command in commands)
    third = worker.peer.answer(worker.peer.cancel(task_id))
    assert {**first, "command_id": ""} == {**second, "command_id": ""} == {**third, "command_id": ""}
    assert first["state"] == "dead"
    assert worker.peer.kinds(task_id).count("TaskCancelled") == 1


def test_a_task_that_completes_in_spite_of_term_has_completed(worker: Worker) -> None:
    task_id, _ = worker.there("swallows", 0.3)
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=0.6))
    assert (answer["state"], answer["status"]) == ("finished", "completed")
    assert worker.peer.event("TaskSucceeded", task_id).result == "'completed'"
    assert worker.result(task_id) == "completed"


def test_the_next_task_after_one_that_outlived_a_cancel_can_clean_up(lone_worker: Worker) -> None:
    peer = lone_worker.peer
    task_id, _ = lone_worker.there("swallows", 0.0)
    follower = lone_worker.send("cleans_up", 0.4)
    assert peer.answer(peer.cancel(task_id))["state"] == "finished"
    lone_worker.is_there(follower)
    begin = time.monotonic()
    assert peer.answer(peer.cancel(follower))["state"] == "dead"
    assert peer.event("TaskCancelled", follower).signal == "TERM"
    assert time.monotonic() - begin > 0.4


@pytest.mark.parametrize("task", ["fails_on_term", "retries_on_term"])
def test_a_task_that_ends_otherwise_after_term_is_cancelled_and_does_not_come_back(worker: Worker, task: str) -> None:
    task_id, pid = worker.there(task)
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=DEADLINE))  # it sends its retry before it ends
    assert answer["state"] == "dead"
    assert gone(pid)
    if task == "retries_on_term":
        dropped = worker.peer.event("TaskDropped", task_id)
        assert (dropped.outcome, dropped.retries) == ("cancelled", 1)
    assert not {"TaskFailed", "TaskRetried", "TaskSucceeded"} & set(worker.peer.kinds(task_id))


@pytest.mark.parametrize("task", ["late", "late_with_handler"])
def test_a_cancelled_task_is_not_delivered_again(worker: Worker, tmp_path: Path, task: str) -> None:
    mark = tmp_path / "mark"
    task_id, _ = worker.there(task, str(mark))
    assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dead"
    for _ in range(4):  # as many as are taken from the queue at once, so a redelivered one would be among them
        worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert mark.read_text() == "started\n"
    assert worker.peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskCancelled"]
    with pytest.raises(RuntimeError, match="REVOKED"):
        worker.result(task_id)


def test_a_time_limit_that_comes_in_the_midst_of_a_cancel_changes_nothing(worker: Worker) -> None:
    task_id, pid = worker.there("limited_and_stubborn")
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=5.0))
    assert answer["state"] == "dead"
    assert gone(pid)
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSignalled", "TaskCancelled"]
    with pytest.raises(RuntimeError, match="REVOKED"):
        worker.result(task_id)


def test_after_each_of_fifty_cancels_the_next_task_starts_without_celerys_look_at_its_pool(
    redis: Redis, tmp_path: Path
) -> None:
    options = ("-c", "1", "--purge", "-I", "no_pool_timer")
    peer = Peer(tmp_path / "socket")
    with a_worker(peer, redis.url_of(1), tmp_path / "log", *options) as worker:
        task_id, pid = worker.running("nap")
        for _ in range(50):
            follower = worker.send("nap")
            assert peer.answer(peer.cancel(task_id))["state"] == "dead"
            assert gone(pid)
            task_id, pid = follower, peer.event("TaskStarted", follower).pid
        assert [child.pid for child in worker.process.children()] == [pid]


def test_cancels_at_the_moment_of_completion_hit_no_other_task(worker: Worker) -> None:
    others, ends = [], []
    for number in range(60):
        others.append(worker.send("nap", 0.005))
        task_id, _ = worker.running("nap", 0.001 * number)
        others.append(worker.send("nap", 0.005))
        state = worker.peer.answer(worker.peer.cancel(task_id))["state"]
        end = {"dead": "TaskCancelled", "finished": "TaskSucceeded"}[state]
        worker.peer.event(end, task_id)
        ends.append(end)
        assert [kind for kind in worker.peer.kinds(task_id) if kind in ENDS] == [end]
    for task_id in others:
        worker.peer.event("TaskSucceeded", task_id)
        assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert len(set(ends)) == 2, "the cancels were all too late, or all in time: nothing was tested"


# Cancels of what does not run


def test_a_task_that_has_finished_stays_as_it_is(worker: Worker) -> None:
    completed, failed = worker.send("empty"), worker.send("boom")
    worker.peer.event("TaskSucceeded", completed)
    worker.peer.event("TaskFailed", failed)
    for task_id, status in ((completed, "completed"), (failed, "failed")):
        answer = worker.peer.answer(worker.peer.cancel(task_id))
        assert (answer["state"], answer["status"]) == ("finished", status)


def test_an_unknown_task_is_refused_when_it_arrives(worker: Worker) -> None:
    task_id = "3b0b3b52-0000-4000-8000-7e5700000001"
    command = worker.peer.cancel(task_id)
    assert worker.peer.answer(command)["state"] == "unknown"
    worker.send("nap", task_id=task_id)
    dropped = worker.peer.event("TaskDropped", task_id)
    assert (dropped.outcome, dropped.command_id) == ("cancelled", command)
    assert f"refused when it came, as its id had been cancelled by command {command}" in dropped.error
    assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dropped"


@pytest.mark.parametrize("options", [{}, {"countdown": 600}], ids=["for a free child", "for its time"])
def test_a_task_that_waits_is_dropped_at_once(worker: Worker, options: dict[str, int]) -> None:
    blockers = [worker.running("nap")[0] for _ in range(2)]
    task_id = worker.send("nap", 0.0, **options)
    worker.peer.event("TaskReceived", task_id)
    command = worker.peer.cancel(task_id)
    assert worker.peer.answer(command)["state"] == "dropped"
    dropped = worker.peer.event("TaskDropped", task_id)
    assert (dropped.outcome, dropped.command_id) == ("cancelled", command)
    for blocker in blockers:
        assert worker.peer.answer(worker.peer.cancel(blocker))["state"] == "dead"
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert "TaskStarted" not in worker.peer.kinds(task_id)
    node = worker.peer.line("hello")["node"]
    waiting = worker.client.control.inspect([node], timeout=DEADLINE, limit=1).reserved()
    assert task_id not in str(waiting[node])


def test_nothing_of_the_agent_has_gone_wrong_and_nothing_is_left(worker: Worker) -> None:
    expect_nothing_left(worker)
