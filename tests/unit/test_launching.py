"""How a Celery process is launched: its command line, and what it inherits."""

import os
import pwd
from pathlib import Path

import pytest

from signalbox.local.places import AGENTS, SOCKET_PATH_LIMIT, operator_socket
from signalbox.settings import Settings
from signalbox_controller.config.folders import prepare
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.errors import ControllerError
from signalbox_controller.launch import agent_copies
from signalbox_controller.launch.agent_copies import KEPT, copy_agent
from signalbox_controller.launch.launcher import Launcher, command_line, inheritable, withheld
from signalbox_controller.launch.user_folders import UserFolders
from signalbox_controller.linux.accounts import account_of

SETTINGS = Settings(redis_url="redis://:secret@bus/0", database_url="postgresql://record", key="k" * 40)


def a_worker_spec(**fields: object) -> ProcessSpec:
    usual: dict[str, object] = {
        "name": "worker",
        "kind": "worker",
        "app": "shop",
        "label": "shop",
        "directory": Path("/srv/shop"),
        "python": "/srv/venv/bin/python",
        "environment": {},
        "options": ("--max-tasks-per-child=9",),
        "stop_timeout": 30.0,
        "queues": ("mail", "celery"),
        "concurrency": 3,
        "pool": "prefork",
    }
    return ProcessSpec(**(usual | fields))  # type: ignore[arg-type]


def test_a_worker_is_launched_with_the_agent_and_without_what_it_replaces() -> None:
    assert command_line(a_worker_spec(), "web-01", Path("/data")) == (
        *("/srv/venv/bin/python", "-m", "signalbox_agent", "-A", "shop", "worker", "-n", "worker@web-01"),
        *("-Q", "mail,celery", "-c", "3", "-P", "prefork"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"),
        "--max-tasks-per-child=9",
    )


def test_a_worker_without_queues_is_left_to_consume_what_its_application_says() -> None:
    assert "-Q" not in command_line(a_worker_spec(queues=()), "web-01", Path("/data"))


@pytest.mark.parametrize(
    ("feature", "options"),
    [
        ("gossip", {"--without-mingle", "--without-heartbeat"}),
        ("mingle", {"--without-gossip", "--without-heartbeat"}),
        ("heartbeat", {"--without-gossip", "--without-mingle"}),
        ("events", {"--without-gossip", "--without-mingle", "--without-heartbeat", "-E"}),
    ],
)
def test_a_feature_of_celery_that_is_off_can_be_taken_back(feature: str, options: set[str]) -> None:
    line = command_line(a_worker_spec(**{feature: True}), "web-01", Path("/data"))
    assert {word for word in line if word.startswith("--without-") or word == "-E"} == options


def test_a_command_comes_before_the_interpreter() -> None:
    for kind, name in (("worker", "worker"), ("beat", "beat")):
        spec = a_worker_spec(kind=kind, name=name, command=("nice", "-n", "5"))
        assert command_line(spec, "web-01", Path("/data"))[:5] == ("nice", "-n", "5", "/srv/venv/bin/python", "-m")


def test_beat_keeps_its_schedule_with_us_and_leaves_no_pidfile() -> None:
    beat = a_worker_spec(name="beat", kind="beat", options=("--max-interval=5",))
    assert command_line(beat, "web-01", Path("/data")) == (
        *("/srv/venv/bin/python", "-m", "signalbox_agent", "-A", "shop", "beat"),
        *("-s", "/data/beat.schedule", "--pidfile=", "-l", "INFO", "--max-interval=5"),
    )


def test_celery_inherits_none_of_our_secrets_under_whatever_name() -> None:
    environ = {
        "PATH": "/bin",
        "SIGNALBOX_KEY": SETTINGS.key,
        "REDIS_URL": SETTINGS.redis_url,
        "MY_DATABASE": SETTINGS.database_url,
        "EMPTY": "",
        "SHOP_BROKER_URL": "redis://elsewhere",
    }
    assert inheritable(environ, SETTINGS) == {"PATH": "/bin", "EMPTY": "", "SHOP_BROKER_URL": "redis://elsewhere"}
    assert withheld(environ, SETTINGS) == ["MY_DATABASE", "REDIS_URL"]


def test_what_the_file_gives_on_purpose_is_given() -> None:
    launcher = Launcher(
        host="h",
        logs=Path("/l"),
        state=Path("/t"),
        agent=Path("/agent"),
        socket=Path("/s"),
        environ={"A": "1", "B": "1"},
    )
    assert launcher.environment(a_worker_spec(environment={"A": "2", "PYTHONPATH": "lib"}), "id") == {
        "A": "2",
        "B": "1",
        "PYTHONPATH": "/agent:lib",
        "SIGNALBOX_AGENT_SOCKET": "/s",
        "SIGNALBOX_INSTANCE": "id",
    }


def test_what_a_worker_of_another_user_writes_is_found_although_that_user_cannot_be_looked_up_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = UserFolders(tmp_path / "users", tmp_path / "cancelled")
    launcher = Launcher(
        host="h",
        logs=tmp_path,
        state=tmp_path,
        agent=tmp_path,
        socket=tmp_path / AGENTS,
        environ={},
        user_folders=users,
    )
    spec = a_worker_spec(user="nobody")
    before = launcher.socket_of(spec)
    assert before == tmp_path / "users" / str(pwd.getpwnam("nobody").pw_uid) / AGENTS

    def away(name: str) -> pwd.struct_passwd:
        raise KeyError(f"getpwnam(): name not found: {name!r}")

    monkeypatch.setattr(pwd, "getpwnam", away)
    assert launcher.socket_of(spec) == before


@pytest.mark.parametrize("name", ["\u00b2", "99999999999999999999", "-1", "no\0body"])
def test_what_can_be_nobodys_name_or_number_is_no_user(name: str) -> None:
    assert account_of(name) is None


@pytest.mark.parametrize("what", ["process", "helper"])
def test_a_user_that_is_gone_is_not_taken_for_the_controllers_own(tmp_path: Path, what: str) -> None:
    launcher = Launcher(
        host="h",
        logs=tmp_path,
        state=tmp_path,
        agent=tmp_path,
        socket=tmp_path / "s",
        environ={"PATH": "/usr/bin:/bin"},
    )
    spec = a_worker_spec(user="signalbox-nobody-at-all", directory=tmp_path, python="/bin/true", options=())
    with pytest.raises(OSError, match="there is no user 'signalbox-nobody-at-all' on this machine"):
        (
            launcher.launch(spec, "id") if what == "process" else launcher.helper(spec, stdin=0, stdout=1, stderr=2)
        ).wait()


def test_the_sockets_lie_where_nobody_else_may_look_and_their_paths_are_short_enough(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    for data in (tmp_path, deep):
        folders = prepare(data)
        assert max(len(str(path).encode()) for path in (folders.socket, folders.operator)) <= SOCKET_PATH_LIMIT
        assert folders.operator == operator_socket(data)
        assert folders.run.stat().st_mode & 0o777 == 0o700
        assert prepare(data) == folders
    prepare(deep).run.rmdir()


def test_a_data_folder_that_no_pythonpath_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ControllerError, match="has a colon in its path"):
        prepare(tmp_path / "12:30")


def installed(monkeypatch: pytest.MonkeyPatch, package: Path, content: str) -> None:
    """Have another agent installed."""
    package.mkdir(parents=True, exist_ok=True)
    (package / "late.py").write_text(content)
    monkeypatch.setattr(agent_copies, "_AGENT", package)


def test_a_process_that_outlives_an_upgrade_keeps_the_modules_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "signalbox_agent"
    installed(monkeypatch, package, "old")
    before = copy_agent(tmp_path / "agent")
    installed(monkeypatch, package, "new")
    after = copy_agent(tmp_path / "agent")
    assert (before / "signalbox_agent" / "late.py").read_text() == "old"
    assert (after / "signalbox_agent" / "late.py").read_text() == "new"
    assert copy_agent(tmp_path / "agent") == after


def test_a_copy_of_the_agent_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    copy = copy_agent(tmp_path / "agent")
    (copy / "signalbox_agent" / "__main__.py").write_text("")
    assert copy_agent(tmp_path / "agent") == copy
    assert (copy / "signalbox_agent" / "__main__.py").read_bytes()


def test_of_the_copies_of_the_agent_only_the_latest_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, package = tmp_path / "agent", tmp_path / "signalbox_agent"
    folder.mkdir()
    (folder / "signalbox_agent").symlink_to(package)  # of an older release
    for version in range(KEPT + 3):
        installed(monkeypatch, package, str(version))
        os.utime(copy_agent(folder), (version, version))
    latest = copy_agent(folder)
    kept = {copy.name for copy in folder.iterdir()}
    assert len(kept) == KEPT + 1
    assert {latest.name, "signalbox_agent"} < kept


def test_a_copy_of_the_agent_that_cannot_be_made_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "agent").touch()
    with pytest.raises(ControllerError, match="the agent cannot be copied"):
        copy_agent(tmp_path / "agent")
