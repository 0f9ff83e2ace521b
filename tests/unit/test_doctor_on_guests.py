"""What the doctor says of workers that others launched."""

from pathlib import Path

import pytest

from signalbox_cli.commands.guests import folder, how_to_join, strangers


@pytest.mark.parametrize(
    ("tasks", "found"),
    [
        ([], []),
        ([{"worker": "worker@web-07", "host": "web-07"}], []),
        ([{"worker": None, "host": None}], []),
        (
            [{"worker": "b@x", "host": None}, {"worker": "a@x", "host": None}, {"worker": "b@x", "host": None}],
            ["a@x", "b@x"],
        ),
    ],
)
def test_workers_without_an_agent_are_those_whose_host_nobody_knows(
    tasks: list[dict[str, str | None]], found: list[str]
) -> None:
    assert strangers(tasks) == found


def test_the_folder_is_named_where_it_is_and_described_where_it_is_not(tmp_path: Path) -> None:
    assert folder(tmp_path) == "<SIGNALBOX_DATA of that host's controller>/guest"
    (tmp_path / "guest").mkdir()
    assert folder(tmp_path) == str(tmp_path / "guest")


def test_the_line_can_be_copied_into_a_unit_file_and_a_pod() -> None:
    text = how_to_join("/var/lib/signalbox/guest")
    assert "  systemd      Environment=PYTHONPATH=/var/lib/signalbox/guest\n" in text
    assert "env: [{name: PYTHONPATH, value: /var/lib/signalbox/guest}]" in text
