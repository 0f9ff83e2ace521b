"""A task that its broker hands out again while it runs: which delivery is which, and what the record shows."""

from itertools import permutations

import pytest

from signalbox.messages.events import AnyTaskEvent
from signalbox_agent.tasks.runs import Run, Runs
from signalbox_reconciler.fold import fold
from support.history import Life

LIFE, ELSEWHERE = Life(), Life(host="web-02")
FIRST, SECOND = LIFE.run(2), ELSEWHERE.run(5, pid=101)


@pytest.mark.parametrize("end", [FIRST.succeeded(9), FIRST.failed(9), FIRST.cancelled(9)])
def test_while_a_second_run_is_alive_the_end_of_the_first_does_not_end_the_task(end: AnyTaskEvent) -> None:
    events: list[AnyTaskEvent] = [FIRST.started(), SECOND.started(), end]
    for order in permutations(events):
        batch = fold(order)
        task = batch.tasks["t1"]
        assert (task.status, task.host, task.pid, task.outcome) == ("running", "web-02", 101, None)
        assert len(batch.logs) == 2, "each attempt has a log of its own"
        assert sum(log.status == "running" for log in batch.logs.values()) == 1


@pytest.mark.parametrize("end", [SECOND.succeeded(6), SECOND.failed(6), SECOND.cancelled(6)])
def test_while_the_first_run_is_alive_the_end_of_a_second_one_does_not_end_the_task(end: AnyTaskEvent) -> None:
    """The second one found a lock that was taken, and left at once."""
    for order in permutations([FIRST.started(), SECOND.started(), end]):
        task = fold(order).tasks["t1"]
        assert (task.status, task.host, task.pid, task.outcome) == ("running", "web-07", 100, None)


def test_when_both_have_ended_the_one_that_ended_last_is_what_counts() -> None:
    events: list[AnyTaskEvent] = [FIRST.started(), SECOND.started(), SECOND.succeeded(6), FIRST.cancelled(9)]
    for order in permutations(events):
        batch = fold(order)
        assert (batch.tasks["t1"].status, batch.tasks["t1"].outcome) == ("failed", "cancelled")
        assert sorted(str(log.outcome) for log in batch.logs.values()) == ["cancelled", "succeeded"]


def a_run(*, retries: int = 0, started: bool = True, over: bool = False) -> Run:
    run = Run(object(), "t1", "shop.t", "t", retries)
    run.started_at, run.over = (1.0 if started else None), over
    return run


@pytest.mark.parametrize(
    ("run", "same"),
    [
        pytest.param(a_run(), True, id="it runs here"),
        pytest.param(a_run(started=False), False, id="it only waits here, and one of the two will do"),
        pytest.param(a_run(over=True), False, id="it is over"),
        pytest.param(a_run(retries=1), False, id="it is another attempt"),
    ],
)
def test_a_second_delivery_is_known_by_the_run_that_it_is_about(run: Run, same: bool) -> None:
    runs = Runs()
    runs.add(run)
    assert runs.original_of("t1", retries=0) is (run if same else None)


@pytest.mark.parametrize("again", [False, True])
def test_what_came_twice_goes_with_the_run_that_it_waited_for(again: bool) -> None:
    runs, first, duplicate = Runs(), a_run(), a_run(started=False)
    first.duplicates.append(duplicate)
    told: list[tuple[object, bool]] = []
    runs.on_duplicate_over = lambda request, given_back: told.append((request, given_back))
    message = duplicate.request
    for run in (first, duplicate):
        runs.add(run)
    runs.remove(first, again=again)
    assert told == [(message, again)]
    assert runs.all() == []


def test_what_a_broker_took_back_is_not_acknowledged() -> None:
    runs, first, duplicate = Runs(), a_run(), a_run(started=False)
    first.duplicates.append(duplicate)
    told: list[object] = []
    runs.on_duplicate_over = lambda request, _: told.append(request)
    for run in (first, duplicate):
        runs.add(run)
    runs.forget_waiting()
    runs.remove(first)
    assert told == []
