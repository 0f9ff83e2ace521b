"""What a controller remembers is there after its restart, and a disk that fails stops nobody."""

import logging
from pathlib import Path

import pytest

from signalbox_controller.errors import StateUnreadable
from signalbox_controller.state.remembered import Remembered, RememberedTable

MEANING = "which colours were chosen"


class Colours(RememberedTable[int]):
    shape = dict[str, int]
    meaning = MEANING


@pytest.mark.parametrize("durable", [False, True])
def test_a_value_is_there_after_a_restart(tmp_path: Path, *, durable: bool) -> None:
    path = tmp_path / "colours.json"
    Remembered(path, list[str], [], MEANING, durable=durable).set(["red"])
    assert Remembered(path, list[str], [], MEANING).value == ["red"]


def test_without_a_file_the_value_is_the_default(tmp_path: Path) -> None:
    assert Remembered(tmp_path / "colours.json", list[str], ["grey"], MEANING).value == ["grey"]


def test_what_was_noted_and_forgotten_is_so_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "colours.json"
    table = Colours(path)
    table.note("red", 1)
    table.note("blue", 2)
    table.forget("red")
    table.forget("green")
    assert Colours(path).value == {"blue": 2}


@pytest.mark.parametrize("content", [b"", b"{", b'{"red": "one"}', b"\xff"])
def test_a_damaged_file_is_refused_and_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "colours.json"
    path.write_bytes(content)
    with pytest.raises(StateUnreadable, match=f"(?s)colours.json.*{MEANING}"):
        Colours(path)
    assert path.read_bytes() == content


def test_a_write_that_fails_is_logged_and_the_value_counts_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "colours.json"
    table = Colours(path)
    table.note("red", 1)
    (tmp_path / "colours.json.new").mkdir()  # nothing can be written beside the file
    with caplog.at_level(logging.ERROR):
        table.note("blue", 2)
    assert table.value == {"red": 1, "blue": 2}
    assert Colours(path).value == {"red": 1}
    assert str(path) in caplog.text
    assert MEANING in caplog.text
