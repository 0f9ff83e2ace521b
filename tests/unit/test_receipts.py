"""How long a caller listens, as a table: what arrived when, and until when it waits."""

from datetime import UTC, datetime

import pytest

from signalbox.client.receipts import STRAGGLERS, Collected, Patience
from signalbox.messages.receipts import Answered, AnyReceipt, Progressed, Recorded
from signalbox.messages.verdicts import Verdict

AT = datetime(2026, 11, 23, tzinfo=UTC)
PATIENCE = Patience(answers=10.0, record=2.0)
#: The end of listening where nothing more is to come.
NOW = 0.0


def said(host: str, verdict: Verdict) -> Answered:
    """A host's last word."""
    return Answered(command_id="c", at=AT, host=host, verdict=verdict)


def recorded(host: str) -> Recorded:
    """The record has what the host did."""
    return Recorded(command_id="c", at=AT, host=host)


def heard(hosts: str, *receipts: tuple[float, AnyReceipt]) -> Collected:
    """The receipts of `hosts` (a letter each) that took in receipts at their seconds."""
    collected = Collected(frozenset(hosts))
    for at, receipt in receipts:
        collected.note(receipt, at)
    return collected


@pytest.mark.parametrize(
    ("hosts", "receipts", "ends_at"),
    [
        # Nobody has answered: the whole wait.
        ("ab", [], 10.0),
        ("", [], 10.0),
        # Having nothing to do with it decides nothing while others are silent.
        ("ab", [(1.0, said("a", "unknown"))], 10.0),
        ("ab", [(1.0, said("a", "refused"))], 10.0),
        # Decisive: the others get half a second more, in case the task runs twice.
        ("ab", [(1.0, said("a", "cancelled"))], 1.0 + STRAGGLERS),
        ("ab", [(1.0, said("a", "alive"))], 1.0 + STRAGGLERS),
        # … counted from the first decisive answer, and never beyond the wait.
        ("abc", [(1.0, said("a", "cancelled")), (1.3, said("b", "finished"))], 1.0 + STRAGGLERS),
        ("ab", [(9.8, said("a", "cancelled"))], 10.0),
        # All have answered, with something that will be recorded: the record gets its time.
        ("a", [(1.0, said("a", "cancelled"))], 3.0),
        ("ab", [(1.0, said("a", "cancelled")), (1.2, said("b", "unknown"))], 3.2),
        ("a", [(1.0, said("a", "dropped"))], 3.0),
        ("a", [(1.0, said("a", "stopped"))], 3.0),
        ("a", [(1.0, said("a", "started"))], 3.0),
        ("a", [(1.0, said("a", "incomplete"))], 3.0),
        # … and there is nothing more to wait for once it has it.
        ("a", [(1.0, said("a", "cancelled")), (1.1, recorded("a"))], NOW),
        ("a", [(1.0, recorded("a")), (1.1, said("a", "cancelled"))], NOW),
        ("ab", [(1.0, said("a", "cancelled")), (1.1, said("b", "unknown")), (1.2, recorded("a"))], 3.1),
        # All have answered, with nothing that the record would confirm.
        ("a", [(1.0, said("a", "unknown"))], NOW),
        ("ab", [(1.0, said("a", "unknown")), (2.0, said("b", "unknown"))], NOW),
        ("a", [(1.0, said("a", "finished"))], NOW),
        ("a", [(1.0, said("a", "alive"))], NOW),
        ("ab", [(1.0, said("a", "cancelled")), (1.1, said("b", "alive"))], NOW),
        # A host that nobody knew to listen answers: take its word.
        ("", [(1.0, said("a", "cancelled"))], 3.0),
        ("b", [(1.0, said("a", "cancelled"))], 1.0 + STRAGGLERS),
        # The record alone is no answer.
        ("a", [(1.0, recorded("a"))], 10.0),
    ],
)
def test_when_to_stop_listening(hosts: str, receipts: list[tuple[float, AnyReceipt]], ends_at: float) -> None:
    assert heard(hosts, *receipts).ends_at(PATIENCE) == pytest.approx(ends_at)


def test_who_does_not_care_for_the_record_does_not_wait_for_it() -> None:
    assert heard("a", (1.0, said("a", "cancelled"))).ends_at(Patience(answers=10.0)) == 1.0


def test_a_stop_waits_for_every_host_as_long_as_it_may() -> None:
    patience = Patience(answers=60.0, stragglers=60.0)

    assert heard("ab", (1.0, said("a", "stopped"))).ends_at(patience) == 60.0


@pytest.mark.parametrize(
    ("hosts", "receipts", "verdict"),
    [
        ("ab", [], None),
        ("ab", [said("a", "unknown")], None),  # could still be anything
        ("ab", [said("a", "cancelled")], "cancelled"),
        ("ab", [said("a", "unknown"), said("b", "unknown")], "unknown"),
        ("ab", [said("a", "cancelled"), said("b", "alive")], "alive"),
        ("a", [said("a", "unknown"), said("a", "cancelled")], "cancelled"),  # it says more the second time
    ],
)
def test_what_the_answers_amount_to(hosts: str, receipts: list[Answered], verdict: Verdict | None) -> None:
    answer = heard(hosts, *((1.0, receipt) for receipt in receipts)).answer

    assert (answer.verdict if answer else None) == verdict


def test_the_same_receipt_twice_changes_nothing() -> None:
    once = heard("ab", (1.0, said("a", "cancelled")), (1.1, recorded("a")))
    twice = heard("ab", (1.0, said("a", "cancelled")), (1.1, recorded("a")))
    twice.note(said("a", "cancelled"), 5.0)
    twice.note(recorded("a"), 5.0)

    assert once == twice


def test_two_commands_share_nothing() -> None:
    heard("a", (1.0, said("a", "cancelled")), (1.0, recorded("a")))

    assert heard("a") == Collected(frozenset("a"), {}, set())


def test_the_record_is_complete_when_it_has_every_host_that_answered() -> None:
    both = [(1.0, said("a", "stopped")), (1.0, said("b", "stopped"))]

    assert not heard("ab", *both, (1.1, recorded("a"))).all_recorded
    assert heard("ab", *both, (1.1, recorded("a")), (1.2, recorded("b"))).all_recorded
    assert not heard("ab").all_recorded


@pytest.mark.parametrize(
    ("receipts", "ends_at", "verdict"),
    [
        # It runs on b as well, so b is no straggler.
        ([(1.0, said("a", "cancelled"))], 10.0, None),
        ([(1.0, said("a", "finished"))], 10.0, None),
        ([(1.0, said("a", "cancelled")), (4.0, said("b", "cancelled"))], 6.0, "cancelled"),
        ([(1.0, said("a", "finished")), (4.0, said("b", "cancelled"))], 6.0, "cancelled"),
        # Nothing graver can come.
        ([(1.0, said("a", "alive"))], 10.0, "alive"),
    ],
)
def test_a_host_that_runs_the_task_is_waited_for(
    receipts: list[tuple[float, AnyReceipt]], ends_at: float, verdict: Verdict | None
) -> None:
    collected = Collected(frozenset("ab"), holders=frozenset("b"))
    for at, receipt in receipts:
        collected.note(receipt, at)
    assert collected.ends_at(PATIENCE) == pytest.approx(ends_at)
    assert (collected.answer.verdict if collected.answer else None) == verdict


def test_a_host_that_works_on_a_cancel_is_waited_for() -> None:
    works = Progressed(command_id="c", at=AT, host="b", done=0, total=1)
    collected = heard("ab", (0.2, works), (1.0, said("a", "cancelled")))
    assert (collected.ends_at(PATIENCE), collected.answer) == (10.0, None)
    collected.note(said("b", "cancelled"), 3.0)
    assert collected.answer is not None
