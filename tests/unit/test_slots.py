"""What a pool child writes of its runs, and what those who survive it read."""

import os
from pathlib import Path

import pytest

from signalbox_agent.child.slot import Slot
from signalbox_agent.child.slot_file import PLACE, PLACES, read_all
from signalbox_agent.child.slot_state import INTERRUPTED, OVER, REQUEUED, RUNNING, UNWOUND, SlotState, find, label
from signalbox_agent.child.slots import Slots

PID = os.getpid()


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    return Slot(str(tmp_path))


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(str(tmp_path))


def latest(slots: Slots) -> SlotState:
    state = slots.read(PID)
    assert state is not None
    return state


def states(slots: Slots) -> list[SlotState]:
    return read_all(f"{slots.folder}/{PID}")


def test_a_run_is_written_as_it_begins_and_as_it_ends(slot: Slot, slots: Slots) -> None:
    slot.begin("t1", 2, "shop.orders.charge", acks_late=True)
    begun = latest(slots)
    assert (begun.word, begun.task_id, begun.retries, begun.celery_name) == (RUNNING, "t1", 2, "shop.orders.charge")
    assert begun.acks_late
    assert not begun.stored
    slot.write("SUCCESS", ended=True)
    over = latest(slots)
    assert (over.word, over.task_id, over.retries, over.began) == ("SUCCESS", "t1", 2, begun.began)
    assert over.stored
    assert over.ended >= over.began > 0


def test_the_runs_before_the_present_one_are_still_there_until_others_take_their_places(
    slot: Slot, slots: Slots
) -> None:
    task_ids = [f"t{number}" for number in range(PLACES + 1)]
    for task_id in task_ids:
        slot.begin(task_id)
        slot.write("SUCCESS", ended=True)
    assert [state.task_id for state in states(slots)] == task_ids[1:]
    slot.begin("last")
    assert [state.task_id for state in states(slots)] == [*task_ids[2:], "last"]
    assert [state.word for state in states(slots)] == ["SUCCESS"] * (PLACES - 1) + [RUNNING]


def test_a_shorter_line_leaves_nothing_of_a_longer_one(slot: Slot, slots: Slots) -> None:
    slot.begin("a-long-id-of-a-task", 0, "a.long.name")
    slot.write("FAILURE", "ValueError: " + "x" * 300, "Traceback", ended=True)
    for number in range(PLACES):
        slot.begin(f"t{number}")
    assert [(state.task_id, state.error, state.traceback) for state in states(slots)] == [
        (f"t{number}", "", "") for number in range(PLACES)
    ]


def test_an_error_comes_with_its_traceback(slot: Slot, slots: Slots) -> None:
    slot.begin("t1")
    slot.write("FAILURE", "ValueError: grüße\n\0", "Traceback\n  ValueError: grüße", ended=True)
    slot.begin("t2")
    slot.write("RETRY", "OSError: away", "Traceback\n  OSError", ended=True)
    first, second = states(slots)
    assert (first.error, first.traceback) == ("ValueError: grüße\n\0", "Traceback\n  ValueError: grüße")
    assert (second.error, second.traceback) == ("OSError: away", "Traceback\n  OSError")


@pytest.mark.parametrize("text", ["x", "ü", "\U0001f600", "\n", "\udc80"])
def test_each_run_stays_in_its_page_whatever_its_texts_are(slot: Slot, slots: Slots, text: str) -> None:
    slot.begin("t0")
    slot.begin(text * 5000, 10_000, text * 5000)
    slot.write("FAILURE", text * 5000, text * 50_000, ended=True)
    first, second = states(slots)
    assert (first.task_id, first.word) == ("t0", RUNNING)
    assert second.task_id == label(text * 5000)
    assert second.stored
    assert second.traceback
    written = Path(slots.folder, str(PID)).read_bytes()
    assert all(len(written[at : at + PLACE].strip(b"\0")) < PLACE for at in range(0, PLACES * PLACE, PLACE))


def test_ids_that_are_too_long_are_still_told_apart() -> None:
    long, other = "x" * 4999 + "a", "x" * 4999 + "b"
    assert label(long) != label(other)
    assert label("t1") == "t1"


@pytest.mark.parametrize(
    ("word", "by_itself"),
    [(RUNNING, False), (INTERRUPTED, False), (UNWOUND, False), (OVER, True), ("FAILURE", True), ("SUCCESS", True)],
)
def test_a_body_ended_by_itself_unless_a_term_had_reached_it(
    slot: Slot, slots: Slots, word: str, by_itself: bool
) -> None:
    slot.begin("t1")
    slot.write(word)
    assert slots.ended_by_itself(PID, "t1") is by_itself
    assert not slots.ended_by_itself(PID, "t2")


@pytest.mark.parametrize(
    ("word", "status", "outcome"),
    [
        ("SUCCESS", "completed", None),
        ("IGNORED", "completed", None),
        ("FAILURE", "failed", "error"),
        ("REJECTED", "failed", "rejected"),
        ("RETRY", "", None),
        (REQUEUED, "", None),
    ],
)
def test_what_a_state_means_for_the_task(word: str, status: str, outcome: str | None) -> None:
    state = SlotState(word, "t1", began=1.0, ended=2.0)
    assert state.stored
    assert state.status == status
    assert outcome in {None, state.outcome}


@pytest.mark.parametrize("word", [RUNNING, OVER, INTERRUPTED, UNWOUND])
def test_what_is_not_stored_is_not_over(word: str) -> None:
    assert not SlotState(word, "t1", began=1.0, ended=2.0).stored


def test_a_soft_time_limit_is_a_time_limit() -> None:
    assert SlotState("FAILURE", "t1", error="SoftTimeLimitExceeded: SoftTimeLimitExceeded()").outcome == "time_limit"


A, B = SlotState("SUCCESS", "t1", 0, 10.0, 11.0, number=1), SlotState(RUNNING, "t1", 0, 12.0, number=2)


@pytest.mark.parametrize(
    ("started_at", "retries", "seen"),
    [
        pytest.param(9.9, 0, A, id="the first of two runs of one id"),
        pytest.param(11.5, 0, B, id="the second"),
        pytest.param(12.5, 0, None, id="one that the child has accepted and not begun"),
        pytest.param(9.9, 1, None, id="another attempt"),
    ],
)
def test_a_run_is_known_by_its_id_its_attempt_and_its_start(
    started_at: float, retries: int, seen: SlotState | None
) -> None:
    assert find([A, B], "t1", retries, started_at) is seen
    assert find([A, B], "t2", retries, started_at) is None


def test_a_child_that_wrote_nothing_has_no_runs(slots: Slots) -> None:
    assert slots.read(PID) is None
    assert slots.of_child(PID) == []


def test_a_slot_that_is_removed_is_gone(slot: Slot, slots: Slots) -> None:
    slot.begin("t1")
    slots.forget(PID)
    assert slots.read(PID) is None


def test_a_line_of_an_older_agent_is_read(slots: Slots) -> None:
    Path(slots.folder, str(PID)).write_text("running t1\n", encoding="ascii")
    assert latest(slots) == SlotState(RUNNING, "t1")


def test_a_line_that_is_cut_off_says_nothing(slot: Slot, slots: Slots) -> None:
    slot.begin("t1")
    path = Path(slots.folder, str(PID))
    path.write_bytes(path.read_bytes()[:-20])
    assert states(slots) == []
