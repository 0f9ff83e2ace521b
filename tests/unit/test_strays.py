"""Strays: what a process of ours was executed with tells which it is, where no record does."""

from pathlib import Path

import msgspec
import pytest

from signalbox.local.places import AGENTS
from signalbox_controller.launch.launcher import Launcher, command_line
from signalbox_controller.launch.strays import CommandLine, own_variables, parse
from signalbox_controller.launch.user_folders import UserFolders
from support.specs import beat, worker


def test_a_worker_and_a_beat_are_known_by_their_command_lines() -> None:
    found = parse(command_line(worker("w1"), "web-01", Path("/state")))
    assert isinstance(found, CommandLine)
    assert (found.app, found.kind, found.name) == ("shop", "worker", "w1")
    assert found.options == {"node": "w1@web-01", "queues": "celery", "concurrency": "2", "pool": "prefork"}
    clock = parse(command_line(beat("clock"), "web-01", Path("/state")))
    assert isinstance(clock, CommandLine)
    assert (clock.app, clock.kind, clock.name) == ("shop", "beat", "clock")


def test_a_command_before_the_interpreter_and_queues_that_are_not_named_change_nothing() -> None:
    spec = msgspec.structs.replace(worker("w1"), command=("nice", "-n", "5"), queues=(), python="/srv/bin/python")
    found = parse(command_line(spec, "web-01", Path("/state")))
    assert isinstance(found, CommandLine)
    assert (found.python, found.app, found.kind, found.name) == ("/srv/bin/python", "shop", "worker", "w1")
    assert found.options == {"node": "w1@web-01", "concurrency": "2", "pool": "prefork"}


@pytest.mark.parametrize(
    ("socket", "ours"),
    [
        ("/data/agents.sock", True),
        ("/run/ours/1000/agents.sock", True),
        ("/run/theirs/1000/agents.sock", False),
        ("", False),
    ],
)
def test_the_socket_that_a_process_was_given_tells_whose_it_is_whatever_user_it_runs_as(
    socket: str, ours: bool
) -> None:
    launcher = Launcher(
        host="web-01",
        logs=Path(),
        state=Path(),
        agent=Path(),
        socket=Path("/data") / AGENTS,
        environ={},
        user_folders=UserFolders(Path("/run/ours"), Path()),
    )
    assert launcher.is_ours(socket) is ours


@pytest.mark.parametrize(
    "arguments",
    [[], ["python", "-m", "celery", "-A", "shop"], ["python", "-m", "signalbox_agent.broker.restore"], ["sleep", "1"]],
)
def test_what_is_none_of_ours_is_not_taken_for_it(arguments: list[str]) -> None:
    assert parse(arguments) is None


def test_only_what_the_application_was_given_counts_as_its_environment() -> None:
    inherited = {"PATH": "/bin", "HOME": "/root"}
    variables = inherited | {"HOME": "/srv", "BROKER": "x", "SIGNALBOX_INSTANCE": "1", "PYTHONPATH": "/agent"}
    assert own_variables(variables, inherited) == {"HOME": "/srv", "BROKER": "x"}
