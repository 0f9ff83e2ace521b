"""Verdicts: their table, and what several of them amount to."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from signalbox.client.receipts import Collected, decisive
from signalbox.client.results import CancelResult, succeed_or_raise
from signalbox.errors import (
    CannotCancel,
    CommandError,
    NotProven,
    SignalboxError,
    StillAlive,
    TaskAlreadyFinished,
    UnknownTask,
)
from signalbox.messages.receipts import Answered
from signalbox.messages.verdicts import MEANING, Verdict, worst_of_processes

AT = datetime(2026, 11, 23, tzinfo=UTC)


def answered(verdict: Verdict, host: str = "") -> Answered:
    """A host's last word."""
    return Answered(command_id="c", at=AT, host=host, verdict=verdict)


def result(verdict: Verdict | None, detail: str = "", silent: frozenset[str] = frozenset()) -> CancelResult:
    """Where a cancel stands."""
    return CancelResult(task_id="t", command_id="c", verdict=verdict, detail=detail, silent=silent)


@pytest.mark.parametrize(
    ("verdicts", "amounts_to"),
    [
        ([], None),
        (["unknown"], "unknown"),
        (["unknown", "unknown", "cancelled"], "cancelled"),  # one host had it
        (["cancelled", "alive"], "alive"),  # redelivered: dead here, alive there is alive
        (["alive", "cancelled"], "alive"),  # whoever answers first
        (["cancelled", "unproven"], "unproven"),
        (["finished", "cancelled"], "cancelled"),  # an earlier attempt ended elsewhere
        (["finished", "unknown"], "finished"),
        (["dropped", "cancelled"], "cancelled"),
        (["unknown", "refused"], "refused"),
        (["cancelled", "unsupported"], "unsupported"),
        (["stopped", "incomplete"], "incomplete"),
        (["started", "incomplete"], "incomplete"),
    ],
)
def test_the_worst_answer_counts(verdicts: list[Verdict], amounts_to: Verdict | None) -> None:
    collected = Collected(frozenset(map(str, range(len(verdicts)))))
    for number, verdict in enumerate(verdicts):
        collected.note(answered(verdict, str(number)), 1.0)

    assert (collected.answer.verdict if collected.answer else None) == amounts_to


def test_every_verdict_has_its_meaning() -> None:
    assert sorted(MEANING) == sorted(get_args(Verdict))


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_no_verdict_is_a_success_and_an_error_at_once(verdict: Verdict) -> None:
    meaning = MEANING[verdict]

    assert bool(meaning.on_host) == (meaning.status == "success")
    assert meaning.error is None or meaning.status == "error"


@pytest.mark.parametrize(
    ("verdicts", "amounts_to"),
    [
        (["stopped", "stopped"], "stopped"),
        (["stopped", "refused"], "incomplete"),
        (["started", "incomplete"], "incomplete"),
        (["refused"], "refused"),
    ],
)
def test_what_one_host_refused_is_not_done(verdicts: list[Verdict], amounts_to: Verdict) -> None:
    assert worst_of_processes(verdicts) == amounts_to


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_only_having_nothing_to_do_with_it_is_not_decisive(verdict: Verdict) -> None:
    assert decisive(answered(verdict)) == (verdict not in {"unknown", "refused"})


def test_no_answer_decides_nothing() -> None:
    assert not decisive(None)


@pytest.mark.parametrize(
    ("listening", "have_answered", "are_silent"),
    [
        ({"a", "b"}, {"a"}, {"b"}),
        ({"a", "b"}, {"a", "b"}, set()),
        ({"a"}, {"a", "late"}, set()),  # a host that nobody expected
        (set(), {"a"}, set()),
        ({"a"}, set(), {"a"}),
    ],
)
def test_who_is_silent(listening: set[str], have_answered: set[str], are_silent: set[str]) -> None:
    collected = Collected(frozenset(listening))
    for host in have_answered:
        collected.note(answered("unknown", host), 1.0)

    assert collected.silent == are_silent


@pytest.mark.parametrize("verdict", ["cancelled", "dropped"])
def test_a_proven_cancel_is_returned(verdict: Verdict) -> None:
    proven = result(verdict)

    assert succeed_or_raise(proven) is proven


@pytest.mark.parametrize(
    ("verdict", "error"),
    [
        ("unknown", UnknownTask),
        ("finished", TaskAlreadyFinished),
        ("unsupported", CannotCancel),
        ("alive", StillAlive),
        ("unproven", NotProven),
        ("refused", NotProven),
        (None, NotProven),
    ],
)
def test_anything_else_is_raised_as_what_it_is(verdict: Verdict | None, error: type[SignalboxError]) -> None:
    with pytest.raises(CommandError, match="task t") as caught:
        succeed_or_raise(result(verdict, "because"))

    assert type(caught.value) is error
    assert "because" in str(caught.value)


@pytest.mark.parametrize(
    ("silent_hosts", "says"),
    [(frozenset({"web-2", "web-1"}), "no answer yet from web-1, web-2"), (frozenset(), "is one running?")],
)
def test_an_unproven_cancel_says_whom_it_waits_for(silent_hosts: frozenset[str], says: str) -> None:
    with pytest.raises(NotProven, match=says):
        succeed_or_raise(result(None, silent=silent_hosts))
