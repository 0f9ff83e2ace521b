"""docs/install.md, walked by its own commands: from wheels, in an environment that has nothing else of ours.

`make walks` takes more projects, and each with several versions of Celery and Python.
"""

import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest
import pytest_asyncio

from signalbox_local.ports import free_port
from signalbox_local.services import environment
from support.eventually import eventually
from support.install_page import ROOT, commands, configuration, filled_in, of_the_stores
from support.shell import Shell, a_shell
from support.stores.server import Redis
from support.walks.environments import Installation, install
from support.walks.shapes import SHAPES, Shape
from support.walks.walk import STEPS, a_walk

#: The two that differ most; their packages are among those of the tests.
HERE = [shape for shape in SHAPES if shape.name in {"with_django", "three_queues"}]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Wheels, and an environment with them, made as the page tells."""
    yield await install(tmp_path_factory.mktemp("installation"), sys.executable)


@pytest.mark.parametrize("shape", HERE, ids=lambda shape: str(shape.name))
async def test_a_project_is_supervised_cancelled_stopped_started_and_its_beat_sends_once(
    shape: Shape, installation: Installation, tmp_path: Path, valkey: Redis, empty_database_url: str
) -> None:
    async with a_walk(installation, shape, sys.executable, tmp_path, valkey, empty_database_url) as walk:
        for _, take in STEPS:
            await take(walk)


async def test_a_newcomer_follows_the_page_to_the_first_proven_cancel(
    installation: Installation, tmp_path: Path, valkey: Redis, empty_database_url: str
) -> None:
    port, examples = free_port(), ROOT / "examples"
    ours = of_the_stores(valkey.url, empty_database_url) | {
        "/srv/shop/.venv/bin/python": sys.executable,
        "/srv/shop": str(examples),
    }
    shop = environment.shop(valkey.url_of(1)) | {"SIGNALBOX_PORT": str(port), "SIGNALBOX_HOSTNAME": "newcomer"}
    async with a_shell(tmp_path, **shop) as shell:

        async def follow(section: str) -> str:
            return "".join([await shell.right(filled_in(command, ours)) for command in commands(section)])

        holds_everything(installation.folder / "dist")
        for line in installation.exports:
            await shell.right(line)
        await nothing_is_set_up(shell)
        said = await follow("2. Setup")
        user, password = first_user(said)
        again = await shell.right("cp signalbox.env first; signalbox setup && cmp signalbox.env first")
        assert "there are some already; none was made or changed" in again
        (tmp_path / "signalbox.toml").write_text(filled_in(configuration(), ours), encoding="utf-8")
        assert "newcomer: 2 processes" in await follow("3. Your application")
        await follow("4. Start")

        async def well() -> bool:
            code, found = await shell.type("signalbox doctor")
            assert code == 0, found
            return True

        await eventually(well, "the doctor finds everything well")
        assert "newcomer" in await follow("5. Look")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as browser:
            page = await browser.get("/assets/vendor/preact.js")
            answer = await browser.post("/session", json={"username": user, "password": password})
        assert (page.status_code, answer.status_code) == (200, 200)
        task_id = (
            await shell.right(f"(cd {shlex.quote(str(examples))} && {shlex.quote(sys.executable)} -m shop long 60)")
        ).strip()

        async def running() -> bool:
            return task_id in await shell.right("signalbox tasks --status running")

        await eventually(running, "the task runs")
        assert "has been cancelled and marked as failed" in await shell.right(f"signalbox cancel {task_id}")
        await shell.right("signalbox stop --mode immediate")


def holds_everything(folder: Path) -> None:
    """What is no Python is in the wheels, too: the dashboard with its modules, the migrations."""
    wheels = {file.name.partition("-")[0]: ZipFile(file).namelist() for file in folder.glob("*.whl")}
    assert wheels.keys() == {"celery_signalbox", "signalbox_api", "signalbox_controller", "signalbox_reconciler"}
    for wheel, packages in {
        "celery_signalbox": ("shared/signalbox", "shared/signalbox_cli"),
        "signalbox_api": ("services/api/signalbox_api",),
        "signalbox_controller": ("services/controller/signalbox_controller", "services/controller/signalbox_agent"),
        "signalbox_reconciler": ("services/reconciler/signalbox_reconciler",),
    }.items():
        for package in packages:
            top = ROOT / package
            files = [file for file in top.rglob("*") if file.is_file() and file.suffix not in {".pyc", ".ts"}]
            missing = {str(file.relative_to(top.parent)) for file in files} - set(wheels[wheel])
            assert not missing
    assert "signalbox_api/dashboard/vendor/preact.js" in wheels["signalbox_api"]


async def nothing_is_set_up(shell: Shell) -> None:
    """Whatever is run too early says what to run first."""
    code, said = await shell.type("signalbox doctor")
    assert code == 3
    assert "run `signalbox setup`" in said
    for service in ("signalbox-api", "signalbox-reconciler", "signalbox-controller"):
        code, said = await shell.type(f"SIGNALBOX_REDIS_URL=redis://127.0.0.1:1/0 {service}")
        assert code != 0
        assert "`signalbox setup` makes one" in said
        assert len(said.splitlines()) == 1
    code, said = await shell.type("signalbox setup")
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith("SIGNALBOX_REDIS_URL is not set: set it first, as in: export ")


def first_user(said: str) -> tuple[str, str]:
    """The user and the password that setup has made up."""
    found = re.search(r"Sign in as (\S+) with the password (\S+); it is shown only this once", said)
    assert found, said
    return found[1], found[2]


@pytest.mark.parametrize("lock", ["README.md", "docs/install.md"])
def test_the_pages_name_no_place_to_install_from_but_the_folder(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "pip install --find-links dist signalbox-api signalbox-controller signalbox-reconciler" in text
