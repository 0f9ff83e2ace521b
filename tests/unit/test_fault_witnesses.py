"""The comparison of the witnesses finds a planted lie, and takes no late truth for one."""

from typing import Any

import pytest

from support.faults.course import Spells
from support.faults.diary import read
from support.faults.truth import GRACE, Claim, Process, Run, Sight, disagreements, lies

CHILD, OTHER = Process(7, 70), Process(8, 80)
T = 1000.0
#: A run that goes on, or died, as the process table says; others wrote a last word.
OPEN = Run(CHILD, T)
ENDED, RAISED, RETRIED = (Run(CHILD, T, word, T + 1) for word in ("end", "raised", "retried"))
INTERRUPTED = Run(CHILD, T, "interrupted", T + 1)
AGAIN = Run(OTHER, T + 5)
ALIVE: dict[Process, float] = {}
DEAD = {CHILD: T + 2}


def claim(status: str, outcome: str | None = None, **more: Any) -> Claim:
    fields: dict[str, Any] = {"finished_at": T + 3 if status in {"failed", "completed"} else None, "started_at": T}
    return Claim(by="the api", task_id="id", status=status, outcome=outcome, **fields | more)


def sight(*runs: Run, gone: dict[Process, float] = ALIVE, at: float = T + 6) -> Sight:
    return Sight(at=at, diary={"id": runs} if runs else {}, gone=gone)


CANCELLED, LOST, DONE = claim("failed", "cancelled"), claim("failed", "worker_lost"), claim("completed", "succeeded")
RUNNING, PENDING = claim("running"), claim("pending")
LATE = T + 10 + GRACE


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        pytest.param(DONE, sight(), id="completed, and never began"),
        pytest.param(DONE, sight(OPEN), id="completed, and runs"),
        pytest.param(DONE, sight(OPEN, gone=DEAD), id="completed, and was killed"),
        pytest.param(CANCELLED, sight(OPEN), id="cancelled, and its process is alive"),
        pytest.param(CANCELLED, sight(INTERRUPTED), id="cancelled, and its process still cleans up"),
        pytest.param(CANCELLED, sight(ENDED, gone=DEAD), id="cancelled, and wrote its end"),
        pytest.param(CANCELLED, sight(OPEN, AGAIN, gone=DEAD | {OTHER: T + 6}), id="cancelled, and began again"),
        pytest.param(LOST, sight(OPEN), id="lost, and its process is alive"),
        pytest.param(LOST, sight(ENDED, gone=DEAD), id="lost, and wrote its end"),
        pytest.param(RUNNING, sight(OPEN, gone=DEAD, at=LATE), id="running, and is long dead"),
        pytest.param(RUNNING, sight(ENDED, at=LATE), id="running, and has long ended"),
        pytest.param(RUNNING, sight(at=LATE), id="running, and did not begin for long"),
        pytest.param(PENDING, sight(OPEN, at=LATE), id="pending, and has long begun"),
        pytest.param(LOST, sight(OPEN, AGAIN, gone=DEAD, at=LATE), id="lost, and long runs again"),
    ],
)
def test_a_lie_is_found(said: Claim, seen: Sight) -> None:
    assert len(lies([said], seen)) == 1


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        pytest.param(DONE, sight(ENDED), id="completed"),
        pytest.param(DONE, sight(OPEN, Run(OTHER, T, "end", T + 1), gone=DEAD), id="completed the second time"),
        pytest.param(RUNNING, sight(OPEN, at=LATE), id="runs for long"),
        pytest.param(RUNNING, sight(OPEN, gone=DEAD), id="running, and has just died"),
        pytest.param(RUNNING, sight(), id="running, and has not begun yet"),
        pytest.param(PENDING, sight(OPEN), id="pending, and has just begun"),
        pytest.param(PENDING, sight(at=LATE), id="waits for long"),
        pytest.param(CANCELLED, sight(), id="cancelled before it began"),
        pytest.param(CANCELLED, sight(OPEN, gone=DEAD), id="cancelled and dead"),
        pytest.param(CANCELLED, sight(RETRIED, at=LATE), id="cancelled while it waited for its retry"),
        pytest.param(LOST, sight(OPEN, AGAIN, gone=DEAD), id="lost, and has just been delivered again"),
        pytest.param(claim("failed", "error"), sight(RAISED), id="failed"),
        pytest.param(claim("running", confirmed=False), sight(OPEN, gone=DEAD, at=LATE), id="nobody has confirmed it"),
        pytest.param(claim("running", vouched_since=None), sight(ENDED, at=LATE), id="nobody vouches for it"),
        pytest.param(claim("running", vouched_since=T + 9), sight(ENDED, at=T + GRACE), id="nobody vouched for it"),
    ],
)
def test_what_is_true_or_on_its_way_is_no_lie(said: Claim, seen: Sight) -> None:
    assert lies([said], seen) == []


@pytest.mark.parametrize(
    ("said", "seen", "waiting"),
    [
        pytest.param(None, sight(), set(), id="nobody ever saw it"),
        pytest.param(PENDING, sight(), {"id"}, id="waits"),
        pytest.param(PENDING, sight(RETRIED), {"id"}, id="waits for its retry"),
        pytest.param(PENDING, sight(OPEN, gone=DEAD), {"id"}, id="will be delivered again"),
        pytest.param(RUNNING, sight(OPEN), set(), id="runs"),
        pytest.param(DONE, sight(ENDED), set(), id="completed"),
        pytest.param(claim("failed", "discarded"), sight(), set(), id="discarded"),
        pytest.param(LOST, sight(OPEN, gone=DEAD), set(), id="lost"),
    ],
)
def test_in_the_end_the_record_is_right(said: Claim | None, seen: Sight, waiting: set[str]) -> None:
    assert disagreements({"id": said} if said else {}, seen, waiting, ["id"]) == {}


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        pytest.param(None, sight(ENDED), id="nothing is known of what ran"),
        pytest.param(PENDING, sight(), id="waits, and its message is gone"),
        pytest.param(PENDING, sight(ENDED), id="pending, and has ended"),
        pytest.param(RUNNING, sight(), id="running, and never began"),
        pytest.param(RUNNING, sight(OPEN, gone=DEAD), id="running, and is dead"),
        pytest.param(DONE, sight(RAISED), id="completed, and failed"),
        pytest.param(claim("running", confirmed=False), sight(OPEN), id="runs, and nobody has confirmed it"),
    ],
)
def test_in_the_end_the_record_is_not_right(said: Claim | None, seen: Sight) -> None:
    assert list(disagreements({"id": said} if said else {}, seen, set(), ["id"])) == ["id"]


def test_a_diary_is_read_run_by_run() -> None:
    lines = ["a 7 70 begin 1.0", "b 8 80 begin 1.5", "a 7 70 retried 2.0", "a 8 80 begin 3.0", "a 8 80 end 4.0"]
    first, second = Run(CHILD, 1.0, "retried", 2.0), Run(OTHER, 3.0, "end", 4.0)
    assert read(lines) == {"a": [first, second], "b": [Run(OTHER, 1.5, "left", 3.0)]}
    assert read(["a 7 70 end 2.0"]) == {}, "what began before the diary was opened is of no interest"


def test_what_follows_within_a_moment_was_never_wrong_and_the_rest_until_it_was_right() -> None:
    spells = Spells(T)
    for seconds, wrong in ((0.0, "ab"), (0.5, "b"), (1.5, "bc"), (2.0, "c"), (2.4, "")):
        spells.look(T + seconds, dict.fromkeys(wrong, "it differs"), "degraded" if seconds < 1 else "")
    assert (spells.true_at, spells.green_at) == (T + 2.0, T + 0.5)
