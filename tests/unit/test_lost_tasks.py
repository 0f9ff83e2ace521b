"""What the end of a worker means for each task that ended with it."""

import pytest

from signalbox.messages.events import TaskFailed, TaskRequeued
from signalbox_controller.agents.running import Run
from signalbox_controller.processes.lost_tasks import lost_tasks
from signalbox_controller.words import Order


def a_run(task_id: str, *, acks_late: bool) -> Run:
    run = f"0000.1700000000000.abcdef01.{len(task_id)}"
    return Run(
        task_id=task_id, run=run, pid=42, celery_name="shop.charge", name="charge", worker="w@h", acks_late=acks_late
    )


EARLY, LATE = a_run("early", acks_late=False), a_run("late", acks_late=True)
ALICE = Order(by="user:alice", reason="maintenance")
WILLING = Order(by="user:alice", redeliver=True)


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
    lost = lost_tasks("worker", "web-01", [EARLY, LATE], "signal 9 (SIGKILL)", order)
    assert [type(event) for event in lost.events] == [TaskFailed, late_ends_as]
    assert [(event.task_id, event.run) for event in lost.events] == [("early", EARLY.run), ("late", LATE.run)]
    assert lost.failed == failed
    assert (lost.restore.forget, lost.restore.crashed) == (forget, crashed)


def test_each_task_says_why_it_ended() -> None:
    stopped = lost_tasks("worker", "web-01", [EARLY], "exit code 0", ALICE).events[0]
    lost = lost_tasks("worker", "web-01", [LATE], "signal 9 (SIGKILL)", None).events[0]
    assert (stopped.outcome, stopped.error) == ("stopped", "Celery was stopped by alice: maintenance")
    assert lost.outcome == "worker_lost"
    assert lost.error == "Worker lost: signal 9 (SIGKILL); given back to its queue, to be run again"
