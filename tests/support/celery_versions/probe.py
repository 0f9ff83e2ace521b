"""The checks that a version of Celery has to pass: one function each, over a real worker."""

import json
import os
import signal
from collections.abc import Callable

import pytest
from celery import chain

from support.agent.worker import Worker, gone
from support.eventually import eventually_blocking

#: Waiting tasks that are refused at once; more than Celery's own recursion bears.
MANY = 300


def a_task_is_seen_from_its_queue_to_its_end(worker: Worker) -> None:
    task_id = worker.send("nap", 0.1)
    worker.peer.event("TaskSucceeded", task_id)
    assert worker.peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert worker.result(task_id) == pytest.approx(0.1)


def a_failure_has_its_error(worker: Worker) -> None:
    assert worker.peer.event("TaskFailed", worker.send("boom")).error == "ValueError: boom"


def a_cancel_ends_a_running_task(worker: Worker) -> None:
    task_id, pid = worker.running("nap")
    assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dead"
    assert gone(pid)
    assert has_status(worker, task_id, "REVOKED")


def a_cancel_kills_a_task_that_ignores_it(worker: Worker) -> None:
    task_id, _ = worker.there("stubborn")
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=0.3))
    assert (answer["state"], answer["signal"]) == ("dead", "KILL")


def a_cancelled_task_that_waits_never_runs(worker: Worker) -> None:
    task_id = worker.send("nap", countdown=60)
    worker.peer.event("TaskReceived", task_id)
    assert worker.peer.answer(worker.peer.cancel(task_id))["state"] == "dropped"
    assert worker.peer.event("TaskDropped", task_id).outcome == "cancelled"


def many_refusals_in_a_row_leave_the_worker_alive(worker: Worker) -> None:
    running = [worker.running("nap")[0] for _ in range(2)]
    waiting = [worker.send("empty") for _ in range(MANY)]
    worker.peer.say(type="refuse", task_ids=waiting)
    for task_id in running:
        worker.peer.answer(worker.peer.cancel(task_id))
    for task_id in waiting:
        worker.peer.event("TaskDropped", task_id)
    worker.peer.event("TaskSucceeded", worker.send("empty"))


def the_rest_of_a_cancelled_chain_ends(worker: Worker) -> None:
    links = [worker.client.signature("tasks.nap", (60.0,), immutable=True) for _ in range(3)]
    last = chain(*links).apply_async()
    first = last.parent.parent
    worker.peer.event("TaskStarted", first.id)
    worker.peer.answer(worker.peer.cancel(first.id))
    assert has_status(worker, last.id, "REVOKED")


def a_child_that_is_killed_from_outside_is_reported(worker: Worker) -> None:
    task_id, pid = worker.running("nap")
    os.kill(pid, signal.SIGKILL)
    assert worker.peer.event("TaskFailed", task_id).outcome == "worker_lost"


def nothing_is_said(worker: Worker) -> None:
    assert "Signalbox" not in worker.log()


def a_stop_is_let_go(worker: Worker) -> None:
    worker.running("nap")
    worker.peer.say(type="stop", error="stopped by the probe", redeliver=False, kill=True)
    worker.peer.line("released")


CHECKS: tuple[Callable[[Worker], None], ...] = (
    a_task_is_seen_from_its_queue_to_its_end,
    a_failure_has_its_error,
    a_cancel_ends_a_running_task,
    a_cancel_kills_a_task_that_ignores_it,
    a_cancelled_task_that_waits_never_runs,
    many_refusals_in_a_row_leave_the_worker_alive,
    the_rest_of_a_cancelled_chain_ends,
    a_child_that_is_killed_from_outside_is_reported,
    nothing_is_said,
    a_stop_is_let_go,
)


def has_status(worker: Worker, task_id: str, status: str) -> bool:
    """Wait until the stored result of a task has this status."""
    key = f"celery-task-meta-{task_id}"
    return eventually_blocking(lambda: bool(json.loads(worker.stored(key))["status"] == status), f"{task_id} {status}")


def failures(worker: Worker) -> list[str]:
    """The names of the checks that fail, in the order of `CHECKS`."""
    failed = []
    for check in CHECKS:
        try:
            check(worker)
        except (AssertionError, RuntimeError, pytest.fail.Exception) as error:
            failed.append(f"{check.__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    return failed
