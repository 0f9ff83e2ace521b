"""The folder that one names in PYTHONPATH: it does its work once, in a worker, and nothing anywhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from signalbox_controller.agents.protocol import Hello
from signalbox_controller.external.folder import write_folder
from signalbox_controller.external.refused import name_for
from signalbox_controller.external.workers import refusal
from signalbox_controller.linux.peers import Peer

OURS, PID = 1000, 4711


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "guest", Path("/run/agents.sock"))
    return tmp_path / "guest"


def python(code: str, *folders: Path, **environ: str) -> str:
    """What a Python of its own prints with these folders on its path."""
    path = os.pathsep.join(map(str, folders))
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path} | environ, capture_output=True, check=True
    )
    assert run.stderr == b""
    return run.stdout.decode().strip()


def test_another_sitecustomize_is_imported_as_if_ours_were_not_there(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("MARK = 'hidden'\n", encoding="utf-8")
    assert python("import sitecustomize; print(sitecustomize.MARK)", folder, other) == "hidden"


def test_a_python_that_is_no_worker_imports_nothing_of_celery_or_of_ours(folder: Path) -> None:
    code = "import sys; print([name for name in sys.modules if name.startswith(('celery', 'kombu', 'signalbox'))])"
    assert python(code, folder) == "[]"


@pytest.mark.parametrize(("variables", "hooked"), [({}, "1"), ({"SIGNALBOX_INSTANCE": "ours"}, "0")])
def test_the_program_of_a_worker_is_what_brings_the_agent_in_unless_a_controller_has(
    folder: Path, variables: dict[str, str], hooked: str
) -> None:
    code = "import celery.apps.worker, celery.signals; print(len(celery.signals.worker_init.receivers))"
    assert python(code, folder, **variables) == hooked


RECEIVERS = "import celery.bin.celery, celery.apps.worker as _; from celery.signals import worker_init as s"


def test_celerys_command_line_brings_the_agent_in_where_another_sitecustomize_hides_ours(
    folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("MARK = 'own'\n", encoding="utf-8")
    code = f"import sitecustomize; {RECEIVERS}; print(sitecustomize.MARK, len(s.receivers))"
    assert python(code, own, folder) == "own 1"


def test_an_agent_that_could_come_in_twice_comes_in_once(folder: Path) -> None:
    assert python(f"{RECEIVERS}; print(len(s.receivers))", folder) == "1"


def test_the_command_by_which_it_comes_in_is_no_command_of_celerys_that_people_see(folder: Path) -> None:
    code = "import sys; sys.argv = ['celery', '{}']; from celery.__main__ import main; main()"
    assert "signalbox" not in python(code.format("--help"), folder).lower()
    assert str(folder) in python(code.format("signalbox"), folder)


def test_an_agent_that_cannot_be_imported_is_told_in_one_line_and_the_worker_goes_on(folder: Path) -> None:
    (folder / "signalbox_agent" / "guest.py").write_text("1 / 0\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", "import celery.apps.worker; print('alive')"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
    )
    assert run.stdout == b"alive\n"
    assert run.stderr == (
        b"Signalbox: no agent in this worker, which is not affected: ZeroDivisionError('division by zero')\n"
    )


def test_setting_out_again_replaces_what_is_old_and_leaves_the_rest(folder: Path) -> None:
    old, kept = folder / "signalbox_agent/link/link.py", folder / "signalbox_agent/link/loop.py"
    old.write_text("old", encoding="utf-8")
    before = kept.stat().st_ino
    needed = folder / "signalbox_agent/of_an_older_release.py"
    needed.touch()
    write_folder(folder, Path("/run/other.sock"))
    assert old.read_text(encoding="utf-8") != "old"
    assert needed.exists(), "a worker that started from it may import it yet"
    assert (kept.stat().st_ino, (folder / "socket").read_text(encoding="utf-8")) == (before, "/run/other.sock\n")


def hello(**changes: object) -> Hello:
    said = {"instance": "i", "pid": PID, "kind": "worker", "node": "celery@web-07", "guest": True}
    return Hello(**{**said, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "node", "why"),
    [
        (Peer(PID, OURS), "celery@web-07", ""),
        (Peer(PID, 0), "celery@web-07", ""),
        (Peer(PID, 1001), "celery@web-07", "it runs as user 1001"),
        (Peer(17, OURS), "celery@web-07", "it is in another pid namespace"),
        (Peer(0, OURS), "celery@web-07", "it is in another pid namespace"),
        (Peer(PID, OURS), "", "only workers may join"),
    ],
)
def test_who_may_join(peer: Peer, node: str, why: str) -> None:
    refused = refusal(hello(node=node), peer, uid=OURS)
    assert why in refused
    assert bool(refused) == bool(why)


@pytest.mark.parametrize(
    ("node", "taken", "name"),
    [("celery@web-07", (), "celery"), ("celery@web-07", ("celery",), "celery-4711"), ("celery@b", ("beat",), "celery")],
)
def test_what_a_guest_is_called(node: str, taken: tuple[str, ...], name: str) -> None:
    assert name_for(node, PID, taken) == name
