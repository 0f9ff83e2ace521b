"""What the audit trail says of a command, and what the hosts' answers amount to."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import TypedDict

import pytest

from signalbox.messages.commands import AnyCommand, CancelTask, CancelTasks, StartProcesses, StopProcesses
from signalbox.messages.events import CommandDone, CommandRefused
from signalbox.messages.receipts import TaskVerdict
from signalbox.messages.verdicts import Verdict
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit, audit_forged
from signalbox_reconciler.fold.conclusion import (
    NO_ANSWER,
    REFUSED_EVERYWHERE,
    Conclusion,
    conclude,
    conclude_everywhere,
    infer_verdicts,
)
from signalbox_reconciler.fold.merge import merge_answer
from support.history import after


class _Issue(TypedDict):
    command_id: str
    issued_by: str
    issued_at: datetime
    expires_at: datetime


VERDICTS: tuple[Verdict, ...] = ("cancelled", "dropped", "finished", "unknown", "unsupported", "alive", "unproven")
ISSUE = _Issue(command_id="c1", issued_by="user:alice", issued_at=after(0), expires_at=after(60))


def done(host: str, verdict: Verdict, seconds: float = 1, detail: str = "") -> CommandDone:
    return CommandDone(at=after(seconds), host=host, command_id="c1", verdict=verdict, detail=detail, task_id="t1")


Heard = CommandDone | CommandRefused


def conclusion(*events: Heard, online: Sequence[str] = (), waits: bool = False, final: bool = False) -> Conclusion:
    """What the cancel of a single task comes to; the database takes the same steps for any number of them."""
    batch = fold(events)
    answers = list(batch.answers.values())
    presumed = infer_verdicts(answers, online, final=final)
    supposed = presumed.waiting if waits else presumed.not_waiting
    said = reduce(merge_answer, batch.verdicts.values()).verdict if batch.verdicts else None
    return conclude(answers, {said or supposed or "issued": 1}, after(9))


def state(*events: Heard, online: Sequence[str] = (), waits: bool = False, final: bool = False) -> str:
    return conclusion(*events, online=online, waits=waits, final=final).state


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (CancelTask(**ISSUE, task_id="t1"), "t1"),
        (
            CancelTasks(**ISSUE, task_ids=("t1", "t2"), selection="pending tasks named charge"),
            "2 tasks: pending tasks named charge",
        ),
        (CancelTasks(**ISSUE, task_ids=("t1", "t1")), "1 task"),
        (StopProcesses(**ISSUE), "all processes on all hosts"),
        (StopProcesses(**ISSUE, hosts=("web-07", "web-08")), "all processes on web-07, web-08"),
        (StartProcesses(**ISSUE, hosts=("web-07",), processes=("beat",)), "beat on web-07"),
    ],
)
def test_the_trail_names_who_wants_what_of_whom(command: AnyCommand, target: str) -> None:
    row = audit(command)
    assert (row.command, row.target, row.issued_by) == (type(command).__name__, target, "user:alice")
    assert (row.state, row.finished_at) == ("issued", None)


def test_an_answer_may_come_as_late_as_the_command_may_take() -> None:
    assert audit(CancelTask(**ISSUE, task_id="t1", grace=20)).answer_by == after(60) + timedelta(seconds=25)
    assert audit(StopProcesses(**ISSUE, timeout=600)).answer_by == after(60) + timedelta(seconds=605)


def test_a_forged_command_is_refused_on_the_trail_and_touches_no_task() -> None:
    row = audit_forged(CancelTask(**ISSUE, task_id="t1"), "5-0")
    assert (row.command_id, row.state, row.issued_by, row.task_ids) == ("forged:5-0", "refused", "user:alice", ())
    assert "c1" in row.detail


def test_nothing_is_concluded_before_anybody_answered() -> None:
    assert state(online=["web-07"]) == "issued"
    assert state(online=[]) == "issued"
    assert conclude_everywhere([], ["web-07"], final=True) is None


def test_a_cancel_that_nobody_answered_in_time_is_not_proven_and_stays_in_force() -> None:
    assert conclusion(online=["web-07"], final=True) == Conclusion(
        state="unproven", detail=NO_ANSWER, finished_at=after(9), tasks_done=1
    )


def test_a_waiting_task_needs_no_answer_where_nobody_is_up_that_could_run_it() -> None:
    assert conclusion(online=[], waits=True) == Conclusion(
        state="dropped", detail=REFUSED_EVERYWHERE, finished_at=after(9), tasks_done=1
    )


def test_a_waiting_task_that_a_silent_host_may_run_is_not_dropped() -> None:
    assert infer_verdicts([], []).on_silent_host is None
    assert infer_verdicts([], [], final=True).on_silent_host == "unproven"


def test_a_decisive_answer_needs_no_other_and_beats_not_here() -> None:
    for order in permutations([done("a", "unknown"), done("b", "cancelled", 2), done("c", "unknown", 3)]):
        assert state(*order, online=["a", "b", "c", "d"]) == "cancelled"


def test_a_task_that_outlived_its_kill_on_one_host_is_not_cancelled() -> None:
    assert state(done("a", "cancelled"), done("b", "alive")) == "alive"


def test_not_here_is_no_end_until_every_host_that_is_there_has_said_so() -> None:
    assert state(done("a", "unknown"), online=["a", "b"]) == "issued"
    assert state(done("a", "unknown"), done("b", "unknown"), online=["a", "b"]) == "unknown"


def test_a_waiting_task_that_no_host_holds_is_dropped_because_all_refuse_it_now() -> None:
    concluded = conclusion(done("a", "unknown"), online=["a"], waits=True)
    assert concluded == Conclusion(state="dropped", detail=REFUSED_EVERYWHERE, finished_at=after(1), tasks_done=1)


def test_a_waiting_task_is_not_dropped_when_a_host_never_answered() -> None:
    assert state(done("a", "unknown"), online=["a", "b"], waits=True, final=True) == "unknown"


def test_a_host_that_answers_twice_is_taken_by_its_stronger_word() -> None:
    for order in permutations([done("a", "cancelled", 1), done("a", "unknown", 2)]):
        batch = fold(order)
        assert [answer.verdict for answer in batch.answers.values()] == ["cancelled"]
        assert [(said.task_id, said.verdict) for said in batch.verdicts.values()] == [("t1", "cancelled")]


def test_a_refusal_is_shown_with_its_reason() -> None:
    refusal = CommandRefused(at=after(2), host="a", command_id="c1", reason="it had expired")
    assert conclusion(refusal) == Conclusion(
        state="refused", detail="it had expired", finished_at=after(2), tasks_done=1
    )
    assert state(refusal, done("b", "cancelled")) == "cancelled"


def everywhere(*events: CommandDone | CommandRefused, expected: str, final: bool = False) -> Conclusion | None:
    return conclude_everywhere(list(fold(events).answers.values()), expected.split(), final=final)


REFUSED = CommandRefused(at=after(70), host="b", command_id="c1", reason="it expired")


@pytest.mark.parametrize(
    ("events", "expected", "final", "state", "detail"),
    [
        ([done("a", "stopped")], "a", False, "stopped", ""),
        ([done("a", "stopped")], "a b", False, None, ""),
        ([done("a", "stopped"), done("b", "started")], "a b", False, "started", "a: stopped; b: started"),
        ([done("a", "stopped"), done("b", "unknown")], "a b", False, "stopped", ""),
        ([done("a", "stopped")], "a b c", True, "incomplete", "no answer from b, c"),
        ([done("a", "unknown")], "a b", True, "incomplete", "no answer from b"),
        ([done("a", "alive", 1, "pid 7")], "a b", True, "alive", "pid 7; no answer from b"),
        ([], "a", True, None, ""),
        ([done("a", "stopped"), REFUSED], "a b", False, "incomplete", "a: stopped; b: it expired"),
        ([REFUSED], "b", False, "refused", "it expired"),
        ([done("a", "stopped")], "", False, "stopped", ""),
    ],
)
def test_a_stop_is_done_when_every_host_has_done_it(
    events: list[CommandDone | CommandRefused], expected: str, final: bool, state: str | None, detail: str
) -> None:
    concluded = everywhere(*events, expected=expected, final=final)
    assert (concluded.state if concluded else None) == state
    assert (concluded.detail if concluded else "") == detail


def test_what_several_hosts_say_is_told_with_their_names() -> None:
    concluded = everywhere(done("b", "stopped", 2), done("a", "incomplete", 1, "beat runs on"), expected="a b")
    assert concluded is not None
    assert (concluded.state, concluded.detail) == ("incomplete", "a: beat runs on; b: stopped")
    assert concluded.finished_at == after(2)


def test_that_a_task_is_not_there_says_nothing_about_it() -> None:
    said = [TaskVerdict(task_id=verdict, verdict=verdict) for verdict in VERDICTS]
    event = CommandDone(at=after(1), host="a", command_id="c1", verdict="alive", tasks=tuple(said))
    assert {row.task_id: row.verdict for row in fold([event]).verdicts.values()} == {
        verdict: verdict for verdict in VERDICTS if verdict != "unknown"
    }


@pytest.mark.parametrize(
    ("tally", "state", "detail"),
    [
        ({"issued": 2, "dropped": 9}, "issued", ""),
        ({"dropped": 9990, "cancelled": 8, "finished": 2}, "cancelled", "9,990 dropped, 8 cancelled, 2 finished"),
        ({"unknown": 3}, "unknown", "3 unknown"),
        ({"cancelled": 5, "alive": 1}, "alive", "5 cancelled, 1 alive"),
        ({"dropped": 5, "refused": 1}, "dropped", "5 dropped, 1 refused"),
    ],
)
def test_a_cancel_of_many_says_how_many_came_to_what_and_is_called_after_the_gravest(
    tally: dict[str, int], state: str, detail: str
) -> None:
    concluded = conclude([], tally, after(9))
    assert (concluded.state, concluded.detail) == (state, detail)
    assert concluded.tasks_done == sum(tally.values()) - tally.get("issued", 0)
    assert (concluded.finished_at is None) == (state == "issued")
