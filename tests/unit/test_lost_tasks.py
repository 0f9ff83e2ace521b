"""What the end of a worker means for each task that it held."""

from datetime import UTC, datetime

import msgspec
import pytest

from signalbox.messages.events import TaskFailed, TaskRequeued, TaskRetried, TaskSucceeded
from signalbox_agent.child.slot_state import OVER, REQUEUED, RUNNING, SlotState
from signalbox_controller.agents.running import HeldRuns, Run
from signalbox_controller.processes.lost_tasks import LostTasks, lost_tasks
from signalbox_controller.words import Order


def a_run(task_id: str, *, acks_late: bool) -> Run:
    run = f"0000.1700000000000.abcdef01.{len(task_id)}"
    return Run(
        task_id=task_id, run=run, pid=42, celery_name="shop.charge", name="charge", worker="w@h", acks_late=acks_late
    )


EARLY, LATE = a_run("early", acks_late=False), a_run("late", acks_late=True)
ALICE = Order(by="user:alice", reason="maintenance")
WILLING = Order(by="user:alice", redeliver=True)
KILLED = "signal 9 (SIGKILL)"


def written(word: str) -> SlotState:
    return SlotState(word, "t", 0, 1_700_000_000.0, 1_700_000_002.5, error="ValueError: no", traceback="Traceback")


def tasks(held: HeldRuns, order: Order | None = None) -> LostTasks:
    return lost_tasks("worker", "web-01", held, KILLED, order)


@pytest.mark.parametrize(
    ("order", "late_ends_as", "failed", "forget", "crashed"),
    [
        (None, TaskRequeued, 1, (), ("late",)),
        (ALICE, TaskFailed, 2, ("late",), ()),
        (WILLING, TaskRequeued, 1, (), ()),
    ],
    ids=["died by itself", "stopped", "stopped, to run again"],
)
def test_only_late_tasks_return_and_only_where_nobody_forbids_it(
    order: Order | None,
    late_ends_as: type,
    failed: int,
    forget: tuple[str, ...],
    crashed: tuple[str, ...],
) -> None:
    lost = tasks(HeldRuns(lost=[EARLY, LATE]), order)
    assert [type(event) for event in lost.events] == [TaskFailed, late_ends_as]
    assert [(event.task_id, event.run) for event in lost.events] == [("early", EARLY.run), ("late", LATE.run)]
    assert lost.failed == failed
    assert (lost.restore.forget, lost.restore.crashed, lost.restore.finished) == (forget, crashed, ())


def test_each_task_says_why_it_ended() -> None:
    stopped = tasks(HeldRuns(lost=[EARLY]), ALICE).events[0]
    lost = tasks(HeldRuns(lost=[LATE])).events[0]
    assert isinstance(stopped, TaskFailed)
    assert isinstance(lost, TaskRequeued)
    assert (stopped.outcome, stopped.error) == ("stopped", "Celery was stopped by alice: maintenance")
    assert lost.outcome == "worker_lost"
    assert lost.error == "Worker lost: signal 9 (SIGKILL); given back to its queue, to be run again"


@pytest.mark.parametrize("order", [None, ALICE, WILLING])
@pytest.mark.parametrize(
    ("word", "ends_as", "fields"),
    [
        ("SUCCESS", TaskSucceeded, {"outcome": "succeeded", "runtime": 2.5}),
        ("IGNORED", TaskSucceeded, {"outcome": "ignored"}),
        ("FAILURE", TaskFailed, {"outcome": "error", "error": "ValueError: no", "traceback": "Traceback"}),
        ("REJECTED", TaskFailed, {"outcome": "rejected"}),
        ("RETRY", TaskRetried, {"error": "ValueError: no", "traceback": "Traceback"}),
        (REQUEUED, TaskRequeued, {"outcome": "rejected"}),
    ],
)
@pytest.mark.parametrize("run", [EARLY, LATE])
def test_a_task_that_had_ended_by_itself_is_as_it_ended_however_its_worker_died(
    run: Run, word: str, ends_as: type, fields: dict[str, object], order: Order | None
) -> None:
    lost = tasks(HeldRuns(ended=[(run, written(word))]), order)
    [event] = lost.events
    assert type(event) is ends_as
    assert (event.task_id, event.run, event.pid, event.host) == (run.task_id, run.run, 42, "web-01")
    assert event.at == datetime.fromtimestamp(1_700_000_002.5, UTC)
    assert {name: getattr(event, name) for name in fields} == fields
    assert lost.failed == 0
    assert (lost.restore.crashed, lost.restore.forget) == ((), ())


@pytest.mark.parametrize(
    ("held", "finished"),
    [
        pytest.param(HeldRuns(ended=[(LATE, written("SUCCESS"))]), (("late", 0),), id="it returned"),
        pytest.param(HeldRuns(ended=[(LATE, written("FAILURE"))]), (("late", 0),), id="it failed"),
        pytest.param(HeldRuns(ended=[(LATE, written("RETRY"))]), (("late", 0),), id="its retry is another message"),
        pytest.param(HeldRuns(ended=[(LATE, written(REQUEUED))]), (), id="it gave its message back"),
        pytest.param(HeldRuns(ended=[(EARLY, written("SUCCESS"))]), (), id="it was acknowledged as it began"),
        pytest.param(HeldRuns(concluded=[(LATE, written("SUCCESS"))]), (("late", 0),), id="reported before the death"),
        pytest.param(HeldRuns(concluded=[(EARLY, written("SUCCESS"))]), (), id="the same, acknowledged early"),
        pytest.param(HeldRuns(unseen=[(EARLY, written("SUCCESS"))]), (("early", 0),), id="its start was not even read"),
        pytest.param(HeldRuns(unseen=[(EARLY, written(RUNNING))]), (("early", 0),), id="the same, in the middle"),
        pytest.param(HeldRuns(unseen=[(LATE, written(RUNNING))]), (), id="the same, acknowledged late"),
        pytest.param(HeldRuns(unseen=[(LATE, written(REQUEUED))]), (), id="the same, given back"),
    ],
)
def test_no_message_of_a_run_that_is_over_is_delivered_again(
    held: HeldRuns, finished: tuple[tuple[str, int], ...]
) -> None:
    assert tasks(held).restore.finished == finished


def test_a_task_whose_start_was_not_even_read_has_ended_with_its_worker() -> None:
    early, late = tasks(HeldRuns(unseen=[(EARLY, written(RUNNING)), (LATE, written(OVER))])).events
    assert isinstance(early, TaskFailed)
    assert early.outcome == "worker_lost"
    assert isinstance(late, TaskRequeued)


def test_a_late_task_whose_process_had_died_counts_as_one_that_crashed() -> None:
    lost = tasks(HeldRuns(concluded=[(LATE, None), (EARLY, None)]))
    assert lost.events == []
    assert (lost.restore.crashed, lost.restore.finished) == (("late",), ())


def test_what_is_written_for_the_next_controller_can_be_read_by_it() -> None:
    restore = tasks(HeldRuns(ended=[(LATE, written("SUCCESS"))])).restore
    assert msgspec.json.decode(msgspec.json.encode(restore), type=type(restore)) == restore
