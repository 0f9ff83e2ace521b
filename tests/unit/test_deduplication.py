"""A command that comes twice is known, for as long as it could come again."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signalbox.messages.receipts import Answered
from signalbox_controller.commands.deduplication import BEYOND, Deduplication
from signalbox_controller.state.journal import Journal

EXPIRES = datetime.fromtimestamp(1000.0, UTC)


class Clock:
    now = 900.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "commands", 100, clock)) as one:
        yield one


def answer(command_id: str) -> Answered:
    return Answered(command_id=command_id, at=EXPIRES, verdict="cancelled")


def test_a_new_command_is_not_known(journal: Journal, clock: Clock) -> None:
    deduplication = Deduplication(journal, clock=clock)
    assert deduplication.find("a") is None
    assert not deduplication.carried_out_before("a")


def test_a_command_that_is_being_carried_out_has_no_answer_yet(journal: Journal, clock: Clock) -> None:
    deduplication = Deduplication(journal, clock=clock)
    deduplication.begin("a", EXPIRES)
    seen = deduplication.find("a")
    assert seen is not None
    assert seen.answer is None
    assert not deduplication.carried_out_before("a")


def test_the_same_command_again_gets_the_answer_that_was_given(journal: Journal, clock: Clock) -> None:
    deduplication = Deduplication(journal, clock=clock)
    deduplication.begin("a", EXPIRES)
    deduplication.finish(answer("a"))
    seen = deduplication.find("a")
    assert seen is not None
    assert seen.answer == answer("a")


def test_it_is_known_beyond_its_expiry_and_forgotten_later(journal: Journal, clock: Clock) -> None:
    deduplication = Deduplication(journal, clock=clock)
    deduplication.begin("a", EXPIRES)
    clock.now = EXPIRES.timestamp() + BEYOND - 1
    deduplication.begin("b", datetime.fromtimestamp(clock.now, UTC))
    assert deduplication.find("a") is not None
    clock.now += 2
    deduplication.begin("c", datetime.fromtimestamp(clock.now, UTC))
    assert deduplication.find("a") is None
    assert deduplication.find("b") is not None


def test_the_oldest_give_way_when_there_are_too_many(journal: Journal, clock: Clock) -> None:
    deduplication = Deduplication(journal, limit=3, clock=clock)
    for name in "abcd":
        deduplication.begin(name, EXPIRES)
    assert [name for name in "abcd" if deduplication.find(name) is not None] == ["b", "c", "d"]


def test_a_restarted_controller_knows_what_its_former_life_carried_out(tmp_path: Path, clock: Clock) -> None:
    with closing(Journal(tmp_path / "commands", 100, clock)) as journal:
        deduplication = Deduplication(journal, clock=clock)
        deduplication.begin("done", EXPIRES)
        deduplication.finish(answer("done"))
        deduplication.begin("begun", EXPIRES)
    with closing(Journal(tmp_path / "commands", 100, clock)) as journal:
        deduplication = Deduplication(journal, clock=clock)
        assert deduplication.carried_out_before("done")
        assert not deduplication.carried_out_before("begun")


def test_a_cancel_that_is_carried_out_long_after_it_expired_is_known_just_as_long(
    journal: Journal, clock: Clock
) -> None:
    clock.now = EXPIRES.timestamp() + 10 * BEYOND
    deduplication = Deduplication(journal, clock=clock)
    deduplication.begin("late", EXPIRES)
    deduplication.begin("other", EXPIRES)
    assert deduplication.find("late") is not None
    deduplication.finish(answer("late"))
    clock.now += BEYOND - 1
    assert deduplication.carried_out_before("late")
