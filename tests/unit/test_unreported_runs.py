"""Runs that a child began or ended and Celery did not report, as the rounds of the agent find them."""

import os
from collections.abc import Callable
from pathlib import Path
from time import time
from types import SimpleNamespace
from typing import Any

import pytest

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.child.slot import Slot
from signalbox_agent.child.slot_file import PLACES
from signalbox_agent.child.slot_state import SlotState
from signalbox_agent.child.slots import Slots
from signalbox_agent.hooks.unreported import BEGINS_WITHIN, EVERY, UnreportedRuns
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks.runs import Run, Runs

PID = os.getpid()


class Reports:
    """Takes what was found."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.ended: list[tuple[str, str]] = []

    def began_unreported(self, run: Run, pid: int, state: SlotState) -> None:
        run.begin(state.began, pid, "instance")
        self.begun.append((run.task_id, pid))

    def ended_unreported(self, run: Run, state: SlotState) -> None:
        run.over = True
        self.ended.append((run.task_id, state.word))


class Pool(PoolControl):
    """A pool, one of whose children may be busy while a job lies in its pipe."""

    unread = False

    def has_unread(self) -> bool:
        return self.unread


class Rounds:
    """A worker that holds one run, and the slot of its child."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.reports, self.runs, self.slot = Reports(), Runs(), Slot(str(folder))
        self.runs.add(run)
        self.pool = Pool()
        self.rounds = UnreportedRuns(self.runs, self.pool, Slots(str(folder)), Loop(), self.reports)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.rounds.look()


def a_run(request: Any = None, *, started: bool = True) -> Run:
    run = Run(request or object(), "t1", "shop.t", "t")
    run.taken_at = time() - 10 * EVERY
    if started:
        run.begin(time() - 2 * EVERY, PID, "instance")
    return run


def handed(job: object | None) -> Any:
    """A request that was handed to the pool; None where that has forgotten it."""
    return SimpleNamespace(_apply_result=lambda: job)


def test_an_end_is_reported_when_celery_has_had_a_round_to_do_so(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run())
    rounds.slot.begin("t1")
    rounds.take(3)
    assert rounds.reports.ended == []
    rounds.slot.write("SUCCESS", ended=True)
    rounds.take(1)
    assert rounds.reports.ended == []
    rounds.take(2)
    assert rounds.reports.ended == [("t1", "SUCCESS")]


def kill() -> Any:
    return SimpleNamespace(begun=True, over=False)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda run: setattr(run, "over", True), id="it was reported"),
        pytest.param(lambda run: setattr(run, "kill", kill()), id="it is being killed, which reports the end"),
        pytest.param(lambda run: setattr(run, "retries", 1), id="it is another attempt"),
        pytest.param(lambda run: setattr(run, "started_at", time() + 60), id="it began after that"),
    ],
)
def test_an_end_that_is_not_that_of_the_run_is_not_reported(tmp_path: Path, change: Callable[[Run], None]) -> None:
    run = a_run()
    rounds = Rounds(tmp_path, run)
    rounds.slot.begin("t1")
    rounds.slot.write("SUCCESS", ended=True)
    change(run)
    rounds.take(3)
    assert rounds.reports.ended == []


def test_a_task_that_celery_handed_to_a_child_and_forgot_runs_when_the_child_has_begun_it(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run(handed(None), started=False))
    rounds.take(2)
    assert rounds.reports.begun == []
    rounds.slot.begin("t1")
    rounds.take(2)
    assert rounds.reports.begun == [("t1", PID)]


def test_a_task_that_no_child_begins_is_left_to_the_broker_once_celery_has_forgotten_it(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run(handed(None), started=False))
    rounds.take(BEGINS_WITHIN)
    assert rounds.runs.has("t1")
    rounds.take(1)
    assert not rounds.runs.has("t1")


def test_what_a_child_has_begun_is_the_run_of_one_delivery_only(tmp_path: Path) -> None:
    first, again = a_run(handed(None), started=False), a_run(handed(None), started=False)
    rounds = Rounds(tmp_path, first)
    rounds.runs.add(again)
    rounds.slot.begin("t1")
    rounds.take(3)
    assert rounds.reports.begun == [("t1", PID)]
    assert (first.started_at is None, again.started_at is None) == (False, True)
    rounds.slot.write("SUCCESS", ended=True)
    first.started_at = time() - 2 * EVERY
    rounds.take(3)
    assert rounds.reports.ended == [("t1", "SUCCESS")]
    assert again.started_at is None


def test_what_celery_has_reported_is_not_taken_for_what_it_has_forgotten(tmp_path: Path) -> None:
    forgotten, reported = a_run(handed(None), started=False), a_run()
    rounds = Rounds(tmp_path, forgotten)
    rounds.runs.add(reported)
    rounds.rounds.broker_lost()
    rounds.slot.begin("t1")
    rounds.rounds.accepted(PID, reported)
    rounds.slot.write("SUCCESS", ended=True)
    rounds.take(3)
    assert (rounds.reports.begun, rounds.reports.ended) == ([], [("t1", "SUCCESS")])
    assert reported.over


def test_a_run_is_not_listed_any_more_when_its_child_has_begun_another_one(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run())
    others(rounds, 1)
    rounds.take(2)
    assert rounds.runs.all() == []


def test_a_task_that_may_lie_in_the_pipe_of_a_busy_child_stays(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run(handed(None), started=False))
    rounds.pool.unread = True
    rounds.take(3 * BEGINS_WITHIN)
    assert rounds.runs.has("t1")
    rounds.pool.unread = False
    rounds.take(BEGINS_WITHIN)
    assert not rounds.runs.has("t1")


def test_a_task_that_waits_in_the_pool_stays(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run(handed(object()), started=False))
    rounds.take(3 * BEGINS_WITHIN)
    assert rounds.runs.has("t1")
    assert rounds.reports.begun == []


def test_what_waits_is_dropped_with_the_connection_but_not_what_a_child_may_run() -> None:
    runs, waiting, on_its_way = Runs(), a_run(started=False), Run(handed(None), "t2", "shop.t", "t")
    for run in (waiting, on_its_way):
        runs.add(run)
    runs.forget_waiting(lambda run: run is on_its_way)
    assert runs.all() == [on_its_way]


def others(rounds: Rounds, count: int = PLACES) -> None:
    """Its child runs others, which take all places of its slot."""
    for number in range(count):
        rounds.slot.begin(f"other {number}")
        rounds.slot.write("SUCCESS", ended=True)


def test_an_end_that_was_seen_is_reported_although_its_child_has_begun_others_since(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run())
    rounds.slot.begin("t1")
    rounds.slot.write("FAILURE", ended=True)
    rounds.take(1)
    others(rounds)
    rounds.take(2)
    assert rounds.reports.ended == [("t1", "FAILURE")]


def test_what_celery_forgot_is_found_when_its_child_begins_the_next_task(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run(handed(None), started=False))
    rounds.rounds.broker_lost()
    rounds.slot.begin("t1")
    rounds.slot.write("FAILURE", ended=True)
    rounds.slot.begin("other")
    rounds.rounds.accepted(PID, Run(object(), "other", "shop.t", "t"))
    others(rounds)
    rounds.take(2)
    assert (rounds.reports.begun, rounds.reports.ended) == ([("t1", PID)], [("t1", "FAILURE")])


def test_an_end_is_found_when_its_child_begins_the_next_task_however_many_it_runs_until_the_next_round(
    tmp_path: Path,
) -> None:
    run = a_run()
    rounds = Rounds(tmp_path, run)
    rounds.rounds.accepted(PID, run)
    rounds.slot.begin("t1")
    rounds.slot.write("FAILURE", ended=True)
    rounds.rounds.accepted(PID, Run(object(), "other", "shop.t", "t"))
    others(rounds)
    rounds.take(2)
    assert rounds.reports.ended == [("t1", "FAILURE")]


def test_a_run_whose_child_has_only_others_in_its_slot_is_not_listed_as_running_any_more(tmp_path: Path) -> None:
    rounds = Rounds(tmp_path, a_run())
    others(rounds)
    rounds.take(1)
    assert len(rounds.runs.all()) == 1
    rounds.take(1)
    assert (rounds.runs.all(), rounds.reports.ended) == ([], [])
