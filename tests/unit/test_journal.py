"""Ids that must not be forgotten are on disk, and forgotten in time."""

from contextlib import closing
from pathlib import Path

from signalbox_controller.state.journal import Journal


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_known_until_its_time_is_over(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Journal(tmp_path / "keys", 10, clock)) as journal:
        journal.add("a", 5.0)
        assert "a" in journal
        clock.now += 6.0
        assert "a" not in journal
        assert journal.keys() == []


def test_keys_survive_a_restart_that_nobody_prepared_for(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Journal(tmp_path / "keys", 10, clock)) as first:
        first.add("a", 5.0)
        first.add("b", 50.0)
        clock.now += 6.0
        with closing(Journal(tmp_path / "keys", 10, clock)) as second:
            assert second.keys() == ["b"]


def test_a_line_that_a_power_cut_has_torn_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("2000 a\n20", encoding="utf-8")
    with closing(Journal(tmp_path / "keys", 10, Clock())) as journal:
        assert journal.keys() == ["a"]


def test_neither_memory_nor_file_grows_without_bound(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "keys", 10, Clock())) as journal:
        for number in range(1000):
            journal.add(str(number), 50.0)
        assert journal.keys() == [str(number) for number in range(990, 1000)]
        assert len((tmp_path / "keys").read_text(encoding="utf-8").splitlines()) <= 31
    with closing(Journal(tmp_path / "keys", 10, Clock())) as journal:
        assert journal.keys() == [str(number) for number in range(990, 1000)]


async def test_sync_waits_for_the_disk_even_while_the_file_is_replaced(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "keys", 1, Clock())) as journal:
        for number in range(20):
            journal.add(str(number), 50.0)
            await journal.sync()
        assert journal.keys() == ["19"]


def test_many_keys_are_remembered_at_once_for_longer_and_never_for_less(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "keys", 10, Clock())) as journal:
        assert journal.remember({"a": 1050, "b": 1100, "over": 900}) == ["a", "b"]
        assert journal.remember({"a": 1200, "b": 1050, "c": 1100}) == ["c"]
        assert journal.expiries() == {"b": 1100, "a": 1200, "c": 1100}
    with closing(Journal(tmp_path / "keys", 10, Clock())) as journal:
        assert journal.expiries() == {"b": 1100, "a": 1200, "c": 1100}


def test_a_key_is_forgotten_for_good_unless_it_holds_for_longer(tmp_path: Path) -> None:
    clock = Clock()
    now = clock.now
    with closing(Journal(tmp_path / "keys", 10, clock)) as first:
        first.remember({"a": now + 10, "b": now + 50})
        assert first.forget({"a": now + 20, "b": now + 20, "c": now + 20}) == ["a"]
        assert first.keys() == ["b"]
        with closing(Journal(tmp_path / "keys", 10, clock)) as second:
            assert second.keys() == ["b"]
        first.remember({"a": now + 30})
        assert set(first.keys()) == {"a", "b"}
