"""Strays: what a process of ours was executed with tells which it is, where no record does."""

import os
import pwd
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from signalbox.local.places import AGENTS
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.proc import boot_id, identify, pids, stat, variable
from signalbox_controller.launch.launcher import Launcher, command_line
from signalbox_controller.launch.launches import Launch, Launches
from signalbox_controller.launch.strays import CommandLine, own_variables, parse, strays
from signalbox_controller.launch.user_folders import UserFolders
from signalbox_controller.linux.procfs import pid_namespace
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.tree import launched_by
from support.eventually import eventually_blocking
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
    ("socket", "user", "ours"),
    [
        ("/data/agents.sock", os.geteuid(), True),
        ("/data/agents.sock", 4711, False),
        ("/run/ours/4711/agents.sock", 4711, True),
        ("/run/ours/4711/agents.sock", os.geteuid(), True),  # it has not changed its user yet
        ("/run/ours/4711/agents.sock", 4712, False),
        ("/run/theirs/4711/agents.sock", 4711, False),
        ("", os.geteuid(), False),
    ],
)
def test_the_socket_that_a_process_was_given_and_its_user_tell_whose_it_is(socket: str, user: int, ours: bool) -> None:
    launcher = Launcher(
        host="web-01",
        logs=Path(),
        state=Path(),
        agent=Path(),
        socket=Path("/data") / AGENTS,
        environ={},
        user_folders=UserFolders(Path("/run/ours"), Path()),
    )
    assert launcher.is_ours(socket, user) is ours


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


SLEEPS = ("-c", "import time; time.sleep(600)")


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Callable[..., list[Launch]]]:
    """Runs a process that says to be a worker of ours, and answers what the controller makes of it."""
    processes: list[subprocess.Popen[bytes]] = []
    mine = Launcher(host="h", logs=tmp_path, state=tmp_path, agent=tmp_path, socket=tmp_path / AGENTS, environ={})

    def run(user: int | None = None, node: str = "w1@h", **variables: str) -> list[Launch]:
        line = command_line(msgspec.structs.replace(worker("w1"), python="python"), "h", tmp_path)
        words = [node if word == "w1@h" else word for word in line]
        environ = {"SIGNALBOX_AGENT_SOCKET": str(mine.socket), "SIGNALBOX_INSTANCE": uuid.uuid4().hex, **variables}
        python = "/usr/bin/python3" if user else sys.executable
        processes.append(
            subprocess.Popen([python, *SLEEPS, *words], env=environ, start_new_session=True, cwd="/", user=user)
        )
        return strays(mine.is_ours, (), {}, Cgroup("/sys/fs/cgroup/ours"))

    yield run
    for process in processes:
        process.kill()
        process.wait()


def test_what_we_launched_is_found_with_its_cgroup(seen: Callable[..., list[Launch]]) -> None:
    instance = uuid.uuid4().hex
    (found,) = seen(SIGNALBOX_INSTANCE=instance, SIGNALBOX_CGROUP=f"/sys/fs/cgroup/ours/{instance}")
    assert (found.instance, found.cgroup) == (instance, f"/sys/fs/cgroup/ours/{instance}")
    assert found.spec
    assert found.spec.name == "w1"


@pytest.mark.parametrize("cgroup", ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/ours/../system.slice"])
def test_no_process_has_us_end_what_is_in_a_cgroup_that_we_have_not_made(
    seen: Callable[..., list[Launch]], cgroup: str
) -> None:
    assert [one.cgroup for one in seen(SIGNALBOX_CGROUP=cgroup)] == [""]


def test_neither_an_instance_nor_a_name_leads_to_files_that_are_not_ours(seen: Callable[..., list[Launch]]) -> None:
    assert seen(SIGNALBOX_INSTANCE="../../etc") == []
    (found,) = seen(node="../../etc/passwd@h")
    assert found.spec
    assert found.spec.name == "worker"


@pytest.fixture
def apart() -> Iterator[Callable[..., int]]:
    """Runs a process that leads a session in a pid namespace below ours, as in a container; answers its pid here."""
    processes: list[subprocess.Popen[bytes]] = []

    def run(*words: str, **variables: str) -> int:
        given = [f"{name}={value}" for name, value in variables.items()]
        line = ["unshare", "--pid", "--fork", "--kill-child", "env", *given, "setsid", sys.executable, *SLEEPS, *words]
        processes.append(subprocess.Popen(line))

        def look() -> int | None:
            name, value = next(iter(variables.items()))
            leaders = (pid for pid in pids() if (seen := stat(pid)) is not None and seen.session == pid)
            return next((pid for pid in leaders if variable(pid, name.encode()) == value), None)

        return eventually_blocking(look, "it runs")

    yield run
    for process in processes:
        process.kill()
        process.wait()


NAMESPACES = pytest.mark.skipif(os.getuid() != 0, reason="only root can make a pid namespace")


@NAMESPACES
def test_a_worker_of_a_container_whose_controller_has_the_same_data_folder_is_none_of_ours(
    apart: Callable[..., int], tmp_path: Path
) -> None:
    line = command_line(worker("w1"), "h", tmp_path)
    apart(*line, SIGNALBOX_AGENT_SOCKET=str(tmp_path / AGENTS), SIGNALBOX_INSTANCE=uuid.uuid4().hex)
    assert strays(lambda socket, _: socket == str(tmp_path / AGENTS), (), {}, None) == []


@NAMESPACES
def test_what_the_same_task_has_launched_in_a_container_is_not_ended_with_a_worker_of_ours(
    apart: Callable[..., int],
) -> None:
    task_id = str(uuid.uuid4())
    apart(SIGNALBOX_TASK_ID=task_id)
    assert launched_by(frozenset([task_id]), Reaper(), ours=False) == []


def test_a_pid_of_another_namespace_on_record_is_not_that_of_a_process_here(tmp_path: Path) -> None:
    launches, here = Launches(tmp_path / "instances.json"), identify(os.getpid())
    launch = Launch(instance="i", boot=boot_id(), proc=here, namespace=pid_namespace(os.getpid()))
    launches.note("ours", launch)
    launches.note("theirs", msgspec.structs.replace(launch, namespace="pid:[1]"))
    assert {name: one.gone for name, one in launches.left_behind().items()} == {"ours": False, "theirs": True}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a process as another user")
def test_a_process_of_another_user_that_was_not_given_our_socket_is_none_of_ours(
    seen: Callable[..., list[Launch]],
) -> None:
    assert seen(user=pwd.getpwnam("nobody").pw_uid) == []
