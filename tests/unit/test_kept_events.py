"""The events of a host are on its disk until the record has them, whatever becomes of the controller and the disk."""

import errno
import os
from pathlib import Path

import pytest

from signalbox_controller.state.kept_events import KeptEvent, KeptEvents


def a_folder(path: Path, count: int, **sizes: int) -> KeptEvents:
    """So many events, in one write each."""
    kept = KeptEvents(path, **sizes)
    add(kept, count)
    return kept


def add(kept: KeptEvents, count: int) -> None:
    for _ in range(count):
        number = kept.number()
        assert kept.append(number, [b"event %d" % number])


def numbers(kept: KeptEvents, first: int = 1, last: int | None = None) -> list[int]:
    """The numbers of the events that are still there, each with its own event."""
    found = [one for one in kept.between(first, last or kept.last) if one.data is not None]
    assert all(one.first == one.last for one in found)
    return [one.first for one in found]


def test_events_are_numbered_from_one_and_read_back_by_their_numbers(tmp_path: Path) -> None:
    kept = a_folder(tmp_path / "events", 5)
    assert kept.last == 5
    assert list(kept.between(2, 3)) == [KeptEvent(2, 2, b"event 2"), KeptEvent(3, 3, b"event 3")]


def test_several_events_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, writes, write = KeptEvents(tmp_path / "events"), list[int](), os.write

    def counted(handle: int, data: bytes) -> int:
        writes.append(len(data))
        return write(handle, data)

    monkeypatch.setattr(os, "write", counted)
    first, *others = [kept.number() for _ in range(100)]
    assert kept.append(first, [b"event"] * 100)
    assert len(writes) == 1
    assert numbers(kept) == [first, *others]


@pytest.mark.parametrize("confirmed", [0, 3, 9, 10])
def test_what_the_record_has_confirmed_is_removed_and_nothing_else(tmp_path: Path, confirmed: int) -> None:
    kept = a_folder(tmp_path / "events", 10, segment=1)
    kept.confirm(confirmed)
    assert numbers(kept) == list(range(confirmed + 1, 11))
    add(kept, 2)
    assert numbers(kept) == list(range(confirmed + 1, 13))


def test_nothing_lies_on_the_disk_once_all_is_confirmed(tmp_path: Path) -> None:
    kept = a_folder(tmp_path / "events", 10)
    kept.confirm(10)
    assert not list((tmp_path / "events").iterdir())


def test_the_next_controller_takes_over_what_was_not_confirmed_under_new_numbers(tmp_path: Path) -> None:
    former = a_folder(tmp_path / "events", 6, segment=1)
    former.confirm(2)  # the former one is killed: nothing is closed
    kept = KeptEvents(tmp_path / "events")
    assert kept.epoch != former.epoch
    assert kept.inherited == kept.last == 4
    assert [one.data for one in kept.between(1, 4)] == [b"event 3", b"event 4", b"event 5", b"event 6"]
    add(kept, 1)
    assert [one.data for one in kept.between(4, 5)] == [b"event 6", b"event 5"]
    assert KeptEvents(tmp_path / "events").inherited == 5


def test_the_next_controller_knows_what_the_former_one_had_published(tmp_path: Path) -> None:
    """Of one that was killed all but what it published last; of one that ended all."""
    former = a_folder(tmp_path / "events", 3)
    former.published = 2
    add(former, 2)  # with a mark of what is published so far
    former.published = 4
    second = KeptEvents(tmp_path / "events")
    assert (second.published, second.inherited) == (2, 5)
    assert numbers(second) == [1, 2, 3, 4, 5]
    second.published = 5
    second.close()
    third = KeptEvents(tmp_path / "events")
    assert (third.published, third.inherited) == (5, 5)
    add(third, 1)
    assert KeptEvents(tmp_path / "events").published == 5


def test_what_is_confirmed_was_published(tmp_path: Path) -> None:
    former = a_folder(tmp_path / "events", 6, segment=1)
    former.published = 5
    add(former, 1)
    former.confirm(4)
    kept = KeptEvents(tmp_path / "events")
    assert (kept.published, kept.inherited) == (1, 3)  # the former numbers 5, 6 and 7
    former.confirm(7)
    assert KeptEvents(tmp_path / "events").last == 0


def test_a_line_that_the_death_of_the_controller_cut_off_spoils_no_other(tmp_path: Path) -> None:
    a_folder(tmp_path / "events", 3)
    [path] = (tmp_path / "events").iterdir()
    with path.open("ab") as file:
        file.write(b'{"type":"TaskSucc')
    kept = KeptEvents(tmp_path / "events")
    assert [one.data for one in kept.between(1, kept.last)] == [b"event 1", b"event 2", b"event 3"]


def test_beyond_the_bound_the_oldest_go_and_the_log_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = a_folder(tmp_path / "events", 20, segment=1, limit=100)
    left = numbers(kept)
    assert left == list(range(left[0], 21))
    assert 1 < left[0] < 20
    assert next(kept.between(1, 20)) == KeptEvent(1, left[0] - 1, None)
    assert "on the bus only" in caplog.text
    assert sum(path.stat().st_size for path in (tmp_path / "events").iterdir()) <= 100


def test_a_full_disk_shifts_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, write = a_folder(tmp_path / "events", 3), os.write
    for taken in (0, 4):

        def full(handle: int, data: bytes, taken: int = taken) -> int:
            if not taken:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(handle, data[:taken])

        monkeypatch.setattr(os, "write", full)
        assert not kept.append(kept.number(), [b"too much"])
        assert not kept.append(kept.number(), [b"too much"])
        monkeypatch.setattr(os, "write", write)
        add(kept, 1)
    assert numbers(kept) == [1, 2, 3, 6, 9]
    holes = [(one.first, one.last) for one in kept.between(1, kept.last) if one.data is None]
    assert holes == [(4, 5), (7, 8)]
    kept.confirm(9)
    assert not list((tmp_path / "events").iterdir())
