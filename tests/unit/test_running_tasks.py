"""What a worker runs, known to its controller even after the worker's death."""

from datetime import UTC, datetime

from signalbox.messages.events import TaskFailed, TaskReceived, TaskRetried, TaskStarted, TaskSucceeded
from signalbox_controller.agents.protocol import Snapshot, SnapshotRun
from signalbox_controller.agents.running import RunningTasks

AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = "0000.1700000000000.abcdef01.42", "0001.1700000009000.abcdef01.43"


def started(run: str = FIRST, pid: int = 42, retries: int = 0) -> TaskStarted:
    return TaskStarted(
        at=AT,
        task_id="t",
        run=run,
        pid=pid,
        retries=retries,
        celery_name="shop.orders.charge",
        name="charge",
        worker="w@h",
        queue="celery",
    )


def ended(run: str = FIRST) -> TaskSucceeded:
    return TaskSucceeded(at=AT, task_id="t", run=run, celery_name="shop.orders.charge", name="charge", worker="w@h")


def test_a_started_task_runs_until_it_ends() -> None:
    table = RunningTasks()
    table.note(started())
    assert table.running["t"].pid == 42
    assert table.name("t") == "charge"
    table.note(ended())
    assert table.running == {}
    assert table.name("t") == ""


def test_a_waiting_task_is_known_by_name_and_does_not_run() -> None:
    table = RunningTasks()
    table.note(
        TaskReceived(at=AT, task_id="t", run="0000", celery_name="shop.orders.charge", name="charge", worker="w@h")
    )
    assert table.running == {}
    assert table.name("t") == "charge"


def test_the_end_of_an_earlier_attempt_does_not_end_the_present_one() -> None:
    table = RunningTasks()
    table.note(started(SECOND, pid=43, retries=1))
    table.note(
        TaskRetried(
            at=AT, task_id="t", run=FIRST, celery_name="shop.orders.charge", name="charge", worker="w@h", error="no"
        )
    )
    assert table.running["t"].run == SECOND


def test_a_snapshot_repairs_what_lost_events_left_wrong() -> None:
    table = RunningTasks()
    table.node = "w@h"
    table.note(started())
    other = SnapshotRun(task_id="u", run=SECOND, pid=43, name="ship", celery_name="shop.orders.ship", started_at=AT)
    table.repair(Snapshot(running=[other], reserved=["v"]))
    assert list(table.running) == ["u"]
    run = table.running["u"]
    assert (run.worker, run.celery_name, run.retries, run.started_at) == ("w@h", "shop.orders.ship", 1, AT)


def test_a_snapshot_keeps_what_is_known_better_already() -> None:
    table = RunningTasks()
    table.note(started())
    table.repair(Snapshot(running=[SnapshotRun(task_id="t", run=FIRST, pid=42)]))
    assert table.running["t"].queue == "celery"


def test_a_run_that_died_with_its_worker_becomes_a_failure_that_says_so() -> None:
    table = RunningTasks()
    table.note(started())
    failed = table.running["t"].failed("web-01", "worker_lost", "Worker lost: signal 9 (SIGKILL)")
    assert isinstance(failed, TaskFailed)
    assert (failed.task_id, failed.run, failed.host, failed.pid) == ("t", FIRST, "web-01", 42)
    assert (failed.outcome, failed.queue, failed.started_at) == ("worker_lost", "celery", AT)
