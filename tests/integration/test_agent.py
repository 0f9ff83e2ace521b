"""The agent inside a real worker: what it tells of tasks that nobody cancels here."""

import json

from support.agent.worker import Worker, dead, expect_nothing_left, gone


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


def test_nothing_of_the_agent_has_gone_wrong_and_nothing_is_left(worker: Worker) -> None:
    expect_nothing_left(worker)
