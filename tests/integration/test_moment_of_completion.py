"""A cancel that comes when the body of a task is over and its report is under way: the record says what is true."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.agent.peer import DEADLINE, Line, Peer
from support.agent.worker import MONITORING, Worker, a_worker, gone
from support.stores.server import Redis

MOMENTS = ("-I", "moments", "--purge")


@pytest.fixture(scope="module", params=["", "sentry", "opentelemetry", "datadog"], ids=lambda name: name or "bare")
def worker(request: pytest.FixtureRequest, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One child; monitoring that wraps Celery's own code changes nothing."""
    folder = tmp_path_factory.mktemp("agent")
    included = ",".join(("moments", *(f"instrumented.{name}" for name in [request.param] if name)))
    options = ("-c", "1", "--purge", "-I", included)
    packages = MONITORING if request.param else None
    with a_worker(Peer(folder / "socket"), redis.url_of(0), folder / "log", *options, packages=packages) as worker:
        yield worker


def report_is_over(worker: Worker, task_id: str) -> None:
    worker.store.set(f"reported:{task_id}", "yes")


def cancelled_while_it_reports(worker: Worker, task_id: str) -> Line:
    """Cancel it, let its report end when TERM has been sent, and answer the agent's last word."""
    command_id = worker.peer.cancel(task_id)
    worker.peer.state(command_id, "signalled")
    report_is_over(worker, task_id)
    return worker.peer.answer(command_id)


def expect_completed_in_spite_of_a_cancel(worker: Worker) -> None:
    task_id, _ = worker.there("reports_success", 60.0)
    answer = cancelled_while_it_reports(worker, task_id)
    assert (answer["state"], answer["status"]) == ("finished", "completed")
    assert worker.peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert worker.result(task_id) == "a report of 60 s"
    worker.peer.event("TaskSucceeded", worker.send("empty"))


def test_a_task_whose_body_has_returned_has_completed(worker: Worker) -> None:
    expect_completed_in_spite_of_a_cancel(worker)


def test_a_task_that_had_failed_by_itself_has_failed_with_its_own_error(worker: Worker) -> None:
    task_id, _ = worker.there("reports_failure", 60.0)
    answer = cancelled_while_it_reports(worker, task_id)
    assert (answer["state"], answer["status"]) == ("finished", "failed")
    assert worker.peer.event("TaskFailed", task_id).error == "ValueError: a report of 60 s"
    assert worker.peer.course(task_id) == ["TaskReceived", "TaskStarted", "TaskFailed"]
    with pytest.raises(RuntimeError, match="FAILURE"):
        worker.result(task_id)


def test_a_task_that_is_about_to_be_tried_again_is_cancelled_and_does_not_come_back(
    peer: Peer, redis: Redis, tmp_path: Path
) -> None:
    """In a worker of its own: after the death of a child Celery frees a slot too many (`Pool._maintain_pool`).

    The next attempt could then be with the pool already, where it is killed as it starts and not dropped.
    """
    mark = tmp_path / "mark"
    with a_worker(peer, redis.url_of(2), tmp_path / "log", "-c", "1", *MOMENTS) as worker:
        task_id, pid = worker.there("reports_retry", str(mark), 60.0)
        answer = cancelled_while_it_reports(worker, task_id)
        assert answer["state"] == "dead"
        assert gone(pid)
        dropped = peer.event("TaskDropped", task_id)
        assert (dropped.outcome, dropped.retries) == ("cancelled", 1)
        assert mark.read_text() == "started\n"


def test_a_report_that_hangs_is_killed_at_the_deadline_and_the_record_says_that_the_work_was_done(
    worker: Worker,
) -> None:
    task_id, pid = worker.there("reports_success", 60.0)
    answer = worker.peer.answer(worker.peer.cancel(task_id, grace=0.4))
    assert answer["state"] == "dead"
    assert gone(pid)
    cancelled = worker.peer.event("TaskCancelled", task_id)
    assert cancelled.signal == "KILL"
    assert cancelled.error == "Task cancelled manually; its work was done, and its report was cut off"


def test_a_signal_in_the_very_last_instant_of_a_body_is_too_late(worker: Worker) -> None:
    task_id = worker.send("raises_term", int(signal.SIGTERM))
    worker.peer.event("TaskSucceeded", task_id)
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]


def test_a_task_that_has_called_another_one_which_is_over_is_not_over(worker: Worker) -> None:
    task_id = worker.send("calls_in_place", 60.0)
    worker.is_there(f"{task_id}-inner")
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "TERM"


def test_what_the_class_of_a_task_adds_to_its_call_belongs_to_the_body(worker: Worker) -> None:
    task_id, _ = worker.there("calls_itself")
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert answer["state"] == "dead"
    assert worker.peer.event("TaskCancelled", task_id).signal == "TERM"


def test_a_revoke_by_somebody_else_that_comes_too_late_harms_neither_the_task_nor_the_next(worker: Worker) -> None:
    task_id, _ = worker.there("reports_success", 60.0)
    followers = [worker.send("empty") for _ in range(3)]
    worker.client.control.revoke(task_id, terminate=True, reply=True, limit=1, timeout=DEADLINE)
    report_is_over(worker, task_id)
    for follower in followers:
        worker.peer.event("TaskSucceeded", follower)
        assert worker.peer.kinds(follower) == ["TaskReceived", "TaskStarted", "TaskSucceeded"]
    assert worker.result(task_id) == "a report of 60 s"


def test_the_traceback_of_a_failure_is_as_without_the_agent(worker: Worker) -> None:
    for name in ("fails", "fails_in_its_class"):
        traceback = worker.peer.event("TaskFailed", worker.send(name)).traceback
        assert "in fails" in traceback
        assert "signalbox_agent" not in traceback


def test_a_cold_shutdown_waits_for_a_report_and_not_for_ever(peer: Peer, redis: Redis, tmp_path: Path) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "1", *MOMENTS) as worker:
        task_id, pid = worker.there("reports_success", 0.5)
        worker.process.send_signal(signal.SIGQUIT)
        assert worker.process.wait(DEADLINE) == 0
        assert gone(pid)
        assert worker.result(task_id) == "a report of 0.5 s"


@pytest.mark.parametrize(
    "options",
    [("--pool-start-method", "spawn"), ("--max-tasks-per-child", "1")],
    ids=["spawned", "one task for each child"],
)
def test_it_is_so_in_other_ways_to_run_a_pool(
    peer: Peer, redis: Redis, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "1", *MOMENTS, *options) as worker:
        expect_completed_in_spite_of_a_cancel(worker)
        assert "Signalbox" not in worker.log()


def test_it_is_so_with_another_signal_in_the_place_of_term(
    peer: Peer, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMAP_SIGTERM", "SIGQUIT")
    with a_worker(peer, redis.url_of(1), tmp_path / "log", "-c", "1", *MOMENTS) as worker:
        expect_completed_in_spite_of_a_cancel(worker)
        task_id, _ = worker.running("nap")
        assert peer.answer(peer.cancel(task_id))["state"] == "dead"


def test_nothing_of_the_agent_has_gone_wrong(worker: Worker) -> None:
    assert "Signalbox" not in worker.log()
