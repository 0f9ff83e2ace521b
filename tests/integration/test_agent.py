"""The agent inside a real worker: what it tells, and how it carries out a cancel."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from support.agent.peer import DEADLINE, Peer
from support.agent.worker import Worker, a_worker, dead, gone
from support.stores.choose import a_redis
from support.stores.server import Redis


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def redis(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Redis]:
    async with a_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def worker(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Two children, shared by the tests of this file, as each looks at tasks of its own only."""
    folder = tmp_path_factory.mktemp("agent")
    with a_worker(Peer(folder / "socket"), redis.url_of(0), folder / "log", "-c", "2") as worker:
        yield worker


@pytest.fixture
def lone_worker(redis: Redis, tmp_path: Path) -> Iterator[Worker]:
    """One child, and a queue that no other worker reads."""
    with a_worker(Peer(tmp_path / "socket"), redis.url_of(1), tmp_path / "log", "-c", "1", "--purge") as worker:
        yield worker


#: The events after which nothing more is told of a run.
ENDS = ("TaskSucceeded", "TaskFailed", "TaskCancelled", "TaskDropped")

# What it tells


def test_the_first_line_says_which_launch_it_is(worker: Worker) -> None:
    hello = worker.peer.line("hello")
    assert hello["pid"] == worker.process.pid
    assert (hello["kind"], hello["pool"], hello["ready"]) == ("worker", "prefork", False)
    assert hello["abilities"] == {"cancels_one": True, "takes_turns": False, "answers_while_busy": True}
    assert hello["node"].startswith("celery@")


def test_a_task_is_told_from_arrival_to_end_with_the_pid_of_its_child(worker: Worker) -> None:
    task_id = worker.send("nap", 0.01, queue="celery")
    done = worker.peer.event("TaskSucceeded", task_id)
    received, started = (worker.peer.event(kind, task_id) for kind in ("TaskReceived", "TaskStarted"))
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert received.run.split(".")[:2] <= started.run.split(".")[:2]
    assert started.run == done.run
    assert started.pid in {child.pid for child in worker.process.children()}
    assert (done.celery_name, done.name, done.queue, done.retries) == ("tasks.nap", "nap", "celery", 0)
    assert (received.args, done.result, done.outcome) == ("(0.01,)", "0.01", "succeeded")
    assert done.runtime >= 0.01
    assert done.started_at == started.at


def test_an_error_is_told_as_python_prints_it(worker: Worker) -> None:
    failed = worker.peer.event("TaskFailed", worker.send("boom"))
    assert (failed.outcome, failed.error) == ("error", "ValueError: boom")
    assert 'raise ValueError("boom")' in failed.traceback


def test_ignore_is_no_failure(worker: Worker) -> None:
    assert worker.peer.event("TaskSucceeded", worker.send("ignored")).outcome == "ignored"


def test_a_rejected_task_has_failed(worker: Worker) -> None:
    failed = worker.peer.event("TaskFailed", worker.send("rejected"))
    assert failed.outcome == "rejected"
    assert "not for me" in failed.error


def test_a_task_that_is_given_back_to_its_queue_runs_later_in_the_order_of_runs(worker: Worker) -> None:
    task_id = worker.send("given_back")
    done = worker.peer.event("TaskSucceeded", task_id)
    kinds = ["TaskReceived", "TaskStarted", "TaskRequeued", "TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert worker.peer.kinds(task_id) == kinds
    runs = [line["event"]["run"] for line in worker.peer.lines if line.get("event", {}).get("task_id") == task_id]
    times = [run.split(".")[:2] for run in runs]
    assert times == sorted(times)
    assert done.result == "'second time'"


def test_a_retry_is_told_and_the_next_attempt_comes_after_it(worker: Worker) -> None:
    task_id = worker.send("retried")
    retried, done = worker.peer.event("TaskRetried", task_id), worker.peer.event("TaskSucceeded", task_id)
    assert retried.error == "ConnectionError: away"
    assert (retried.retries, done.retries) == (0, 1)
    assert retried.run < done.run


def test_a_time_limit_is_told_when_the_process_is_dead(worker: Worker) -> None:
    task_id, pid = worker.running("limited")
    failed = worker.peer.event("TaskFailed", task_id)
    assert dead(pid)
    assert failed.outcome == "time_limit"
    assert "1" in failed.error


def test_a_soft_time_limit_that_nobody_handles_is_told_as_a_time_limit(worker: Worker) -> None:
    failed = worker.peer.event("TaskFailed", worker.send("limited_softly"))
    assert failed.outcome == "time_limit"
    assert failed.error.startswith("SoftTimeLimitExceeded")


def test_a_process_that_dies_is_told_at_once_and_in_words(worker: Worker) -> None:
    task_id, pid = worker.running("dies")
    failed = worker.peer.event("TaskFailed", task_id)
    assert (failed.outcome, failed.pid) == ("worker_lost", pid)
    assert failed.error == f"The process {pid} that ran it died: signal 9 (SIGKILL)"


def test_an_expired_task_is_dropped(worker: Worker) -> None:
    dropped = worker.peer.event("TaskDropped", worker.send("empty", expires=-1))
    assert dropped.outcome == "expired"


def test_a_revoke_by_somebody_else_is_told_as_such_once_the_process_is_dead(worker: Worker) -> None:
    task_id, pid = worker.there("cleans_up", 0.5)
    worker.client.control.revoke(task_id, terminate=True)
    failed = worker.peer.event("TaskFailed", task_id)
    assert dead(pid)
    assert failed.outcome == "revoked"


def test_a_revoke_by_somebody_else_of_what_waits_is_told_as_such(worker: Worker) -> None:
    task_id = worker.send("nap", countdown=1.0)
    worker.peer.event("TaskReceived", task_id)
    worker.client.control.revoke(task_id)
    dropped = worker.peer.event("TaskDropped", task_id)
    assert (dropped.outcome, dropped.error) == ("revoked", "Revoked, but not by Signalbox")


def test_what_ran_on_after_a_revoke_by_somebody_else_can_still_be_cancelled(worker: Worker) -> None:
    task_id, pid = worker.there("stubborn")
    worker.client.control.revoke(task_id, terminate=True)
    answer = worker.peer.answer(worker.peer.cancel(task_id, 0.3))
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "KILL"
    assert gone(pid)


def test_a_users_own_request_class_goes_on_working(worker: Worker) -> None:
    task_id = worker.send("own_request")
    worker.peer.event("TaskSucceeded", task_id)
    assert worker.store.get(f"accepted:{task_id}") == b"yes"


def test_what_a_task_launches_bears_its_id_and_nothing_else_of_ours(worker: Worker) -> None:
    task_id = worker.send("environment")
    seen = json.loads(worker.result(task_id)["text"])
    ours = {name: value for name, value in seen.items() if "SIGNALBOX" in name or name == "PYTHONPATH"}
    assert ours == {"SIGNALBOX_TASK_ID": task_id}


def test_a_ping_is_answered(worker: Worker) -> None:
    worker.peer.say(type="ping")
    assert worker.peer.line("pong") == {"type": "pong"}


# Cancels of what runs


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
    worker.peer.close()
    snapshot = worker.peer.come_back()
    assert (snapshot["running"], snapshot["reserved"]) == ([], [])
    assert "Signalbox" not in worker.log()
    assert "Unrecoverable" not in worker.log()
