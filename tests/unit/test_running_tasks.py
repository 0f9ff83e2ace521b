"""What a worker runs, known to its controller even after the worker's death."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from signalbox.messages.events import TaskFailed, TaskRan, TaskReceived, TaskRetried, TaskStarted, TaskSucceeded
from signalbox_agent.child.slot_state import RUNNING, SlotState
from signalbox_controller.agents.protocol import Snapshot, SnapshotRun
from signalbox_controller.agents.running import RunningTasks

AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, SECOND = "0000.1700000000000.abcdef01.42", "0001.1700000009000.abcdef01.43"
#: The same id, sent once more.
OTHER = "0000.1700000000500.abcdef01.43"


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
    assert [run.pid for run in table.of("t")] == [42]
    assert table.name("t") == "charge"
    table.note(ended())
    assert table.all() == []
    assert table.name("t") == ""


def test_a_waiting_task_is_known_by_name_and_does_not_run() -> None:
    table = RunningTasks()
    table.note(
        TaskReceived(at=AT, task_id="t", run="0000", celery_name="shop.orders.charge", name="charge", worker="w@h")
    )
    assert table.all() == []
    assert table.name("t") == "charge"


def test_the_end_of_an_earlier_attempt_does_not_end_the_present_one() -> None:
    table = RunningTasks()
    table.note(started(SECOND, pid=43, retries=1))
    table.note(
        TaskRetried(
            at=AT, task_id="t", run=FIRST, celery_name="shop.orders.charge", name="charge", worker="w@h", error="no"
        )
    )
    assert [run.run for run in table.of("t")] == [SECOND]


def test_a_snapshot_repairs_what_lost_events_left_wrong() -> None:
    table = RunningTasks()
    table.node = "w@h"
    table.note(started())
    other = SnapshotRun(task_id="u", run=SECOND, pid=43, name="ship", celery_name="shop.orders.ship", started_at=AT)
    table.repair(Snapshot(running=[other], reserved=["v"]))
    [run] = table.all()
    assert run.task_id == "u"
    assert (run.worker, run.celery_name, run.retries, run.started_at) == ("w@h", "shop.orders.ship", 1, AT)


def test_a_snapshot_keeps_what_is_known_better_already() -> None:
    table = RunningTasks()
    table.note(started())
    table.repair(Snapshot(running=[SnapshotRun(task_id="t", run=FIRST, pid=42)]))
    assert [run.queue for run in table.of("t")] == ["celery"]


def test_a_run_that_died_with_its_worker_becomes_a_failure_that_says_so() -> None:
    table = RunningTasks()
    table.note(started())
    failed = table.of("t")[0].failed("web-01", "worker_lost", "Worker lost: signal 9 (SIGKILL)")
    assert isinstance(failed, TaskFailed)
    assert (failed.task_id, failed.run, failed.host, failed.pid) == ("t", FIRST, "web-01", 42)
    assert (failed.outcome, failed.queue, failed.started_at) == ("worker_lost", "celery", AT)


def test_a_run_that_was_concluded_for_its_worker_does_not_come_back() -> None:
    table = RunningTasks()
    table.note(started())
    run = table.of("t")[0]
    table.conclude(run, None)
    table.repair(Snapshot(running=[SnapshotRun(task_id="t", run=FIRST, pid=42)]))
    table.note(started())
    assert table.all() == []
    assert table.concluded == [(run, None)]


def test_a_task_that_was_concluded_has_a_status_until_it_comes_again() -> None:
    table = RunningTasks()
    table.note(started())
    table.conclude(table.of("t")[0], SlotState("SUCCESS", "t", began=1.0, ended=2.0))
    assert table.concluded_as("t") == "completed"
    assert table.concluded_as("u") == ""
    table.note(received("t"))
    assert table.concluded_as("t") == ""


def test_another_run_of_a_task_that_was_concluded_is_seen() -> None:
    table = RunningTasks()
    table.note(started())
    table.conclude(table.of("t")[0], None)
    table.note(started(SECOND, pid=43, retries=1))
    assert table.of("t")[0].run == SECOND


def test_a_worker_that_reports_an_end_itself_has_dealt_with_its_message() -> None:
    table = RunningTasks()
    table.note(started())
    table.conclude(table.of("t")[0], SlotState("SUCCESS", "t", began=1.0, ended=2.0))
    table.note(ended())
    assert table.concluded == []


def received(task_id: str, at: datetime = AT, delivery: str = "0000") -> TaskReceived:
    return TaskReceived(
        at=at,
        task_id=task_id,
        run=delivery,
        delivery=delivery,
        celery_name="shop.orders.charge",
        name="charge",
        worker="w@h",
        queue="celery",
    )


def in_slot(task_id: str, word: str, *, after: float) -> SlotState:
    began = AT.timestamp() + after
    return SlotState(word, task_id, 0, began, began + 1 if word == "SUCCESS" else 0.0)


def test_a_task_that_began_unseen_is_known_by_the_slot_of_its_child() -> None:
    table = RunningTasks()
    table.node = "w@h"
    table.note(received("t"))
    state = in_slot("t", "SUCCESS", after=2.0)
    [(run, seen)] = table.begun_unseen({42: [in_slot("u", "SUCCESS", after=1.0), state]}, "abcdef0123")
    assert seen is state
    assert (run.task_id, run.pid, run.name, run.queue, run.worker) == ("t", 42, "charge", "celery", "w@h")
    assert run.started_at == AT + timedelta(seconds=2)
    assert run.run == f"0000.{int(AT.timestamp() * 1000) + 2000:013d}.abcdef01.42"


def test_a_run_that_was_reported_is_not_unseen() -> None:
    table = RunningTasks()
    table.note(started())
    assert table.begun_unseen({42: [in_slot("t", RUNNING, after=0.1)]}, "abcdef0123") == []
    table.note(ended())
    assert table.begun_unseen({42: [in_slot("t", "SUCCESS", after=0.1)]}, "abcdef0123") == []


def test_what_a_child_began_after_the_latest_noted_start_was_not_reported() -> None:
    table = RunningTasks()
    table.node = "w@h"
    table.note(started())
    states = [
        in_slot("earlier", "SUCCESS", after=-1.0),
        in_slot("t", "SUCCESS", after=0.1),
        in_slot("quick", "SUCCESS", after=2.0),
        in_slot("slow", RUNNING, after=4.0),
    ]
    table.add_unreported({42: states, 43: [in_slot("first", RUNNING, after=-5.0)]}, "abcdef0123")
    assert [(run.task_id, run.pid, run.worker) for run in table.all()] == [
        ("t", 42, "w@h"),
        ("quick", 42, "w@h"),
        ("slow", 42, "w@h"),
        ("first", 43, "w@h"),
    ]
    assert table.of("slow")[0].run == f"0000.{int(AT.timestamp() * 1000) + 4000:013d}.abcdef01.42"


def test_an_earlier_run_of_a_task_that_waits_again_is_not_unseen() -> None:
    table = RunningTasks()
    table.note(received("t", AT + timedelta(seconds=10)))
    assert table.begun_unseen({42: [in_slot("t", "SUCCESS", after=5.0)]}, "abcdef0123") == []


def test_an_id_may_run_twice_in_one_worker_and_each_run_ends_by_itself() -> None:
    table = RunningTasks()
    table.note(started(FIRST, pid=42))
    table.note(started(OTHER, pid=43))
    assert [run.run for run in table.of("t")] == [FIRST, OTHER]
    table.note(ended(OTHER))
    assert [run.run for run in table.of("t")] == [FIRST]
    table.repair(Snapshot(running=[SnapshotRun(task_id="t", run=run, pid=1) for run in (FIRST, OTHER)]))
    assert [run.run for run in table.all()] == [FIRST, OTHER]


@pytest.mark.parametrize("named", [True, False], ids=["as the agent says", "an older agent does not name deliveries"])
def test_while_a_second_delivery_waits_the_end_of_the_first_does_not_let_it_be_forgotten(named: bool) -> None:
    one, two = ("0000.1.abcdef01.w1", "0000.2.abcdef01.w2") if named else ("0000", "0000.2")
    table = RunningTasks()
    for delivery in (one, two):
        table.note(received("t", delivery=delivery))
    table.note(msgspec.structs.replace(started(), delivery=one if named else ""))
    table.note(ended())
    assert table.knows("t")
    table.note(msgspec.structs.replace(ended(two), delivery=two if named else ""))
    assert not table.knows("t")


def test_what_a_snapshot_lists_as_waiting_waits_until_its_delivery_ends() -> None:
    table = RunningTasks()
    table.repair(Snapshot(running=[], reserved=["t"]))
    assert table.knows("t")
    table.note(msgspec.structs.replace(started(), delivery="0000.1.abcdef01.w1"))
    table.note(ended())
    assert not table.knows("t")


def ran(run: str = FIRST, delivery: str = "0000", received_at: datetime | None = None) -> TaskRan:
    return TaskRan(
        at=AT,
        task_id="t",
        run=run,
        delivery=delivery,
        pid=42,
        celery_name="shop.orders.charge",
        name="charge",
        worker="w@h",
        started_at=AT,
        received_at=received_at,
    )


@pytest.mark.parametrize("received_at", [None, AT])
@pytest.mark.parametrize("concluded", [False, True])
def test_a_whole_run_leaves_what_its_events_leave(concluded: bool, received_at: datetime | None) -> None:
    tables = RunningTasks(), RunningTasks()
    whole = ran(received_at=received_at)
    for table, events in zip(tables, ((whole,), whole.events()), strict=True):
        table.note(started(SECOND, pid=43, retries=1))
        if concluded:
            table.note(started())
            table.conclude(table.of("t")[-1], None)
        for event in events:
            table.note(event)
    one, other = tables
    assert vars(one) == vars(other)
