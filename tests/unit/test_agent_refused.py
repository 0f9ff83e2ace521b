"""What an agent knows to be cancelled before anybody tells it, and how it goes through many without a long stop."""

import time
from functools import partial
from pathlib import Path

from signalbox_agent.link.loop import Loop
from signalbox_agent.link.slices import PAUSE, SLICE, Slices
from signalbox_agent.tasks.cancelled_ids import refused
from signalbox_agent.tasks.runs import REFUSED, Recent


def test_the_ids_on_disk_are_known_until_their_time_is_over(tmp_path: Path) -> None:
    now = int(time.time())
    (tmp_path / "cancelled").write_text(f"{now + 60} a\n{now - 60} old\n{now + 60} b c\nnonsense\n{now + 60}", "utf-8")
    assert refused(str(tmp_path / "agents.sock")) == ["a", "b c"]


def test_of_an_id_the_last_line_on_disk_holds_so_that_one_that_was_released_is_not_refused(tmp_path: Path) -> None:
    later = int(time.time()) + 60
    (tmp_path / "cancelled").write_text(f"{later} a\n{later} b\n0 a\n0 b\n{later} b\n", "utf-8")
    assert refused(str(tmp_path / "agents.sock")) == ["b"]


def test_no_file_is_no_trouble(tmp_path: Path) -> None:
    assert refused(str(tmp_path / "agents.sock")) == []


def test_twice_as_many_are_held_as_signalbox_remembers() -> None:
    held: Recent[None] = Recent(REFUSED)
    for number in range(200_000):
        held[str(number)] = None
    assert "0" in held


def test_work_is_done_in_slices_and_a_piece_that_fails_holds_up_no_other() -> None:
    loop, done = Loop(), []
    slices_done: list[int] = []

    def work(piece: int) -> None:
        time.sleep(SLICE / 4)
        if piece == 3:
            raise ValueError("of ours")
        done.append(piece)

    slices = Slices(loop)
    slices.put(partial(work, piece) for piece in range(20))
    slices.put([partial(work, 20)])
    assert not done  # not in the turn in which it was asked for
    while len(done) < 20:
        time.sleep(PAUSE)
        loop._run_timers()
        slices_done.append(len(done))
    assert done == [piece for piece in range(21) if piece != 3]
    assert len(set(slices_done)) >= 4  # not all in one go
