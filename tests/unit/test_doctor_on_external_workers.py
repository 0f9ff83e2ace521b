"""What the doctor says of workers that others launched."""

from pathlib import Path

import pytest

from signalbox_cli.commands.external_workers import instructions, python_path, without_agent


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
    assert without_agent(tasks) == found


def test_the_folder_is_named_where_it_is_and_described_where_it_is_not(tmp_path: Path) -> None:
    assert python_path(tmp_path) == "<SIGNALBOX_DATA of that host's controller>/guest"
    (tmp_path / "guest").mkdir()
    assert python_path(tmp_path) == str(tmp_path / "guest")


def test_the_line_can_be_copied_into_a_unit_file_and_a_pod() -> None:
    text = instructions("/var/lib/signalbox/guest")
    assert "  systemd      Environment=PYTHONPATH=/var/lib/signalbox/guest\n" in text
    assert "env: [{name: PYTHONPATH, value: /var/lib/signalbox/guest}]" in text
