"""What a cancel does next, row by row; nothing here runs a process."""

import dataclasses

import pytest

from signalbox_agent.cancel.decide import (
    KILL_WITHIN,
    Act,
    CancelAction,
    Plan,
    Seen,
    Stage,
    Standing,
    action_for,
    decide,
    gravest,
)

#: Seconds on a monotonic clock.
NOW = 100.0
TERM = Plan(Stage.TERM, NOW + 5)
OVERDUE = Plan(Stage.TERM, NOW)
KILL = Plan(Stage.KILL, NOW + KILL_WITHIN)
STUCK = Plan(Stage.STUCK, NOW)
NOTHING = Seen(now=NOW, child_gone=False, ended=None, left=0, fresh=0)


def seen(**what: object) -> Seen:
    return dataclasses.replace(NOTHING, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "look", "stage", "acts"),
    [
        pytest.param(TERM, seen(), Stage.TERM, (), id="it may clean up until the deadline"),
        pytest.param(TERM, seen(left=2, fresh=2), Stage.TERM, (), id="what it launched is left to it meanwhile"),
        pytest.param(TERM, seen(child_gone=True), Stage.DONE, (Act.REPORT_DEAD,), id="it died and left nothing"),
        pytest.param(
            TERM, seen(child_gone=True, left=2, fresh=2), Stage.TERM, (Act.TERM_REST,), id="it died and left something"
        ),
        pytest.param(TERM, seen(child_gone=True, left=2), Stage.TERM, (), id="what it left has had its TERM"),
        pytest.param(
            TERM, seen(ended="completed"), Stage.DONE, (Act.REPORT_FINISHED,), id="it completed in spite of the TERM"
        ),
        pytest.param(
            OVERDUE, seen(ended="completed"), Stage.DONE, (Act.REPORT_FINISHED,), id="it completed at the last moment"
        ),
        pytest.param(
            TERM,
            seen(ended="completed", child_gone=True),
            Stage.DONE,
            (Act.REPORT_FINISHED,),
            id="it completed, and its child died of the TERM",
        ),
        pytest.param(
            TERM, seen(ended="failed"), Stage.DONE, (Act.REPORT_FINISHED,), id="it had failed before the TERM came"
        ),
        pytest.param(
            KILL,
            seen(ended="failed", child_gone=True),
            Stage.DONE,
            (Act.REPORT_FINISHED,),
            id="it had failed, and its report was the last word",
        ),
        pytest.param(TERM, seen(ended="interrupted"), Stage.TERM, (Act.TERM_CHILD,), id="it made an error of the TERM"),
        pytest.param(
            dataclasses.replace(TERM, asked_again=True),
            seen(ended="interrupted"),
            Stage.TERM,
            (),
            id="it was asked twice",
        ),
        pytest.param(OVERDUE, seen(fresh=1), Stage.KILL, (Act.KILL_ALL,), id="it ignored the TERM"),
        pytest.param(
            OVERDUE, seen(child_gone=True, left=1), Stage.KILL, (Act.KILL_ALL,), id="what it left ignored the TERM"
        ),
        pytest.param(
            OVERDUE,
            seen(child_gone=True),
            Stage.DONE,
            (Act.REPORT_DEAD,),
            id="it died at the deadline: no KILL for nobody",
        ),
        pytest.param(KILL, seen(), Stage.KILL, (), id="a KILL takes a moment"),
        pytest.param(KILL, seen(child_gone=True), Stage.DONE, (Act.REPORT_DEAD,), id="the KILL did it"),
        pytest.param(KILL, seen(fresh=1), Stage.KILL, (Act.KILL_ALL,), id="one that was overlooked is killed too"),
        pytest.param(
            dataclasses.replace(KILL, deadline=NOW), seen(), Stage.STUCK, (Act.REPORT_ALIVE,), id="it outlived the KILL"
        ),
        pytest.param(STUCK, seen(), Stage.STUCK, (), id="that is said once"),
        pytest.param(STUCK, seen(child_gone=True), Stage.DONE, (Act.REPORT_DEAD,), id="it died in the end"),
        pytest.param(Plan(Stage.DONE, NOW), seen(child_gone=True), Stage.DONE, (), id="the last word is the last"),
    ],
)
def test_a_kill_goes_on(plan: Plan, look: Seen, stage: Stage, acts: tuple[Act, ...]) -> None:
    after, done = decide(plan, look)
    assert (after.stage, done) == (stage, acts)


def test_the_time_for_a_kill_begins_with_it() -> None:
    after, _ = decide(Plan(Stage.TERM, NOW - 1), seen(fresh=1))
    assert after.deadline == NOW + KILL_WITHIN


@pytest.mark.parametrize(
    ("standing", "can_kill", "can_refuse", "expected"),
    [
        (Standing.WAITING, True, False, CancelAction.DROP),
        (Standing.WAITING, True, True, CancelAction.DROP),
        (Standing.WAITING, False, True, CancelAction.DROP),
        (Standing.HANDED, True, False, CancelAction.AWAIT),
        (Standing.HANDED, True, True, CancelAction.DROP),
        (Standing.HANDED, False, True, CancelAction.DROP),
        (Standing.RUNNING, True, False, CancelAction.KILL),
        (Standing.RUNNING, True, True, CancelAction.KILL),
        (Standing.RUNNING, False, True, CancelAction.REFUSE),
    ],
)
def test_what_a_cancel_does_depends_on_where_the_task_is(
    standing: Standing, can_kill: bool, can_refuse: bool, expected: CancelAction
) -> None:
    assert action_for(standing, can_kill=can_kill, can_refuse=can_refuse) is expected


@pytest.mark.parametrize(
    ("states", "answer"),
    [
        (["dead"], "dead"),
        (["finished", "dead"], "dead"),
        (["dropped", "finished"], "dropped"),
        (["unknown", "finished"], "finished"),
        (["dead", "alive"], "alive"),
    ],
)
def test_of_several_runs_of_an_id_the_gravest_answer_counts(states: list[str], answer: str) -> None:
    assert gravest([{"state": state} for state in states])["state"] == answer
    assert gravest([{"state": state} for state in states[::-1]])["state"] == answer


def test_what_each_run_may_have_left_behind_is_looked_after() -> None:
    answers = [{"state": "dead", "pid": pid, "strays": [(pid + 1, 7)]} for pid in (1, 5)]
    assert gravest(answers)["strays"] == [(2, 7), (6, 7)]
