"""What several hosts say of many tasks, as tables: task by task, and how far they are."""

from datetime import UTC, datetime

import pytest

from signalbox.client.bulk import Bulk, task_by_task
from signalbox.client.receipts import Collected, Patience
from signalbox.messages.commands import MOST_TASKS
from signalbox.messages.receipts import Answered, Progressed, TaskVerdict
from signalbox.messages.verdicts import Verdict

AT = datetime(2026, 11, 25, tzinfo=UTC)


def said(host: str, verdict: Verdict = "unknown", **tasks: Verdict) -> Answered:
    """What a host answers, with those tasks of which it says more than that they are not there."""
    told = tuple(TaskVerdict(task_id=task_id, verdict=one) for task_id, one in tasks.items())
    return Answered(command_id="c", at=AT, host=host, verdict=verdict, tasks=told)


def progressed(host: str, done: int, total: int) -> Progressed:
    return Progressed(command_id="c", at=AT, host=host, done=done, total=total)


@pytest.mark.parametrize(
    ("answers", "complete", "verdicts"),
    [
        ([], False, "unproven unproven"),
        ([said("a", "dropped", x="dropped")], False, "dropped unproven"),  # the other host may hold y
        ([said("a", "dropped", x="dropped")], True, "dropped unknown"),
        ([said("a"), said("b")], True, "unknown unknown"),
        # The gravest counts: dead in one place and alive in another is alive.
        ([said("a", x="cancelled"), said("b", x="alive")], True, "alive unknown"),
        ([said("a", x="finished"), said("b", x="dropped")], True, "dropped unknown"),
        ([said("a", x="dropped", y="finished")], True, "dropped finished"),
        # A host that would not, or could not, speaks of none of them.
        ([said("a", "refused"), said("b", x="dropped")], True, "dropped refused"),
        ([said("a", "unproven"), said("b", x="dropped")], True, "dropped unproven"),
    ],
)
def test_what_the_answers_come_to_for_each_task(answers: list[Answered], complete: bool, verdicts: str) -> None:
    found = task_by_task(("x", "y"), answers, complete=complete)

    assert [task.task_id for task in found] == ["x", "y"]
    assert " ".join(task.verdict for task in found) == verdicts


def test_an_id_that_is_given_twice_counts_once() -> None:
    assert Bulk(["a", "b", "a"]).parts == [("a", "b")]
    assert Bulk([]).parts == []


def test_more_than_a_command_takes_become_several() -> None:
    parts = Bulk([str(number) for number in range(2 * MOST_TASKS + 1)]).parts

    assert [len(part) for part in parts] == [MOST_TASKS, MOST_TASKS, 1]


def test_progress_adds_up_over_hosts_and_never_goes_back() -> None:
    told: list[tuple[int, int]] = []
    bulk = Bulk(["1", "2", "3", "4", "5"], lambda *news: told.append(news))
    follow, heard = bulk.following(0), Collected(frozenset("ab"))

    follow(heard)  # nobody has said anything
    for receipt in (
        progressed("a", 0, 3),
        progressed("b", 0, 2),
        progressed("a", 2, 3),
        progressed("a", 2, 3),
        said("a", "dropped"),
        progressed("b", 1, 2),
        said("b", "dropped"),
    ):
        heard.note(receipt, 1.0)
        follow(heard)

    assert told == sorted(told)
    assert told[-1] == (5, 5)


def test_progress_is_neither_an_answer_nor_a_record() -> None:
    heard = Collected(frozenset("a"))
    heard.note(progressed("a", 1, 2), 1.0)

    assert (heard.answers, heard.recorded, heard.ends_at(Patience(10.0))) == ({}, set(), 10.0)


def test_the_record_is_waited_for_when_some_of_many_were_cancelled_whatever_became_of_the_rest() -> None:
    heard = Collected(frozenset("a"))
    heard.note(said("a", "alive", x="cancelled", y="alive"), 1.0)

    assert heard.ends_at(Patience(10.0, record=2.0)) == 3.0


def test_a_result_tells_how_many_came_to_what() -> None:
    heard = Collected(frozenset("a"))
    heard.note(said("a", "dropped", x="dropped", y="cancelled"), 1.0)

    result = Bulk(["x", "y", "z"]).result(["c"], [heard])

    assert result.counts == {"dropped": 1, "cancelled": 1, "unknown": 1}
    assert not result.verified
    assert result.silent == frozenset()
