"""Workers that run as another user than the controller, which is root: it hears them, and trusts no file of theirs."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import celery
import psutil
import pytest

from signalbox.messages.events import ProcessChanged, TaskFailed, TaskSucceeded
from signalbox_controller.agents import spool
from signalbox_controller.agents.slots import Mark, Slots
from signalbox_controller.launch.user_folders import user_folders
from support.host import ALICE, ROOT, SHOP, Host, a_host, exists, lives
from support.stores.server import Redis

NOBODY = pwd.getpwnam("nobody")
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can run processes as another user")
PACKAGES = f"{Path(celery.__file__).parents[1]}:{ROOT / 'tests/support/old_python'}"
#: One of these another user may run: a virtual environment often lies below the interpreter of its owner.
INTERPRETERS = (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")


@pytest.fixture(scope="module")
def shop() -> str:
    """The usual configuration, with an interpreter that another user may run."""
    for python in INTERPRETERS:
        line = [python, "-c", "import celery, redis, shop"]
        environ = os.environ | {"PYTHONPATH": PACKAGES}
        user, place = NOBODY.pw_uid, ROOT / "examples"
        with contextlib.suppress(OSError):
            if not subprocess.run(line, cwd=place, env=environ, user=user, capture_output=True, check=False).returncode:
                ours = f'app = "shop"\npython = "{python}"'
                path = f'[apps.shop.environment]\nPYTHONPATH = "{PACKAGES}"'
                return SHOP.replace('app = "shop"', ours).replace("[apps.shop.environment]", path)
    pytest.skip("another user may not enter the folder of this clone, or of its interpreter")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """The data folder of the host."""
    yield tmp_path / "host" / "data"
    shutil.rmtree(user_folders(tmp_path / "host" / "data", Path("unused")).base, ignore_errors=True)


@pytest.mark.parametrize(
    ("key", "line"),
    [('app = "shop"', 'user = "nobody"'), ('name = "worker"', 'options = ["--uid=nobody"]')],
    ids=["user", "--uid"],
)
async def test_a_worker_of_another_user_is_cancelled_with_proof_and_its_tasks_are_lost_when_it_is_killed(
    tmp_path: Path, data: Path, valkey: Redis, shop: str, key: str, line: str
) -> None:
    async with a_host(tmp_path / "host", valkey, shop.replace(key, f"{key}\n{line}")) as host:
        assert host.data == data
        worker = await host.process_is("worker", "running")
        assert psutil.Process(worker.pid).uids().effective == NOBODY.pw_uid
        task = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
        grandchild = await host.only_child_of(task.pid)
        result = await host.commander.cancel(task.task_id, ALICE, grace=0.5)
        assert (result.verdict, exists(task.pid), lives(grandchild)) == ("cancelled", False, False)
        lost = await host.running()
        os.kill(worker.pid or 0, 9)
        assert (await host.seen(TaskFailed, task_id=lost.task_id)).outcome == "worker_lost"
        await _comes_back(host, worker)


async def _comes_back(host: Host, former: ProcessChanged) -> None:
    quick = await host.send("reports.count_stock", seconds=0.1)
    await host.seen(TaskSucceeded, task_id=quick)
    assert (await host.process_is("worker", "running")).pid != former.pid


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of that user's, with the slots of a worker in it."""
    base = Path(tempfile.mkdtemp(prefix="signalbox-test-"))
    base.chmod(0o711)
    (base / "theirs").mkdir()
    (base / "theirs" / "id.children").mkdir()
    for folder in (base / "theirs", base / "theirs" / "id.children"):
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    (base / "secret").write_text('[1,"SUCCESS",1.0,2.0,0,false,"secret","t",""]\n', encoding="utf-8")
    (base / "secret").chmod(0o600)
    yield base / "theirs"
    shutil.rmtree(base)


def test_what_a_user_links_to_is_neither_read_nor_written_with_the_rights_of_root(theirs: Path) -> None:
    slots, secret = Slots(theirs / "agents.sock", "id"), theirs.parent / "secret"
    before = secret.read_text(encoding="utf-8")
    for name in ("7", "7.starts", "7.new", "7.cancel"):
        (theirs / "id.children" / name).symlink_to(secret)
    (theirs / "id.diary").symlink_to(secret)
    assert (slots.read(7), slots.starts(), list(spool.read(theirs / "id.diary"))) == (None, [], [])
    assert not slots.mark(7, Mark("c", "t", "r", "KILL"))
    (theirs / "elsewhere.children").symlink_to(theirs.parent)
    Slots(theirs / "agents.sock", "elsewhere").forget()
    assert secret.read_text(encoding="utf-8") == before


def test_a_pipe_or_a_device_in_the_place_of_a_slot_holds_nobody_up(theirs: Path) -> None:
    os.mkfifo(theirs / "id.children" / "7", 0o666)
    (theirs / "id.children" / "8").symlink_to("/dev/zero")
    os.mkfifo(theirs / "id.diary", 0o666)
    slots = Slots(theirs / "agents.sock", "id")
    assert (slots.read(7), slots.read(8), list(spool.read(theirs / "id.diary"))) == (None, None, [])
