"""docs/install.md, walked by its own commands: from wheels, in an environment that has nothing else of ours."""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zipfile import ZipFile

import httpx
import psutil
import pytest

from signalbox_local.ports import free_port
from signalbox_local.services import environment
from support.eventually import HANGS, eventually
from support.stores.server import Redis

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "install.md"
#: What stands before the exit code of a command.
MARK = "exit-code-of-this-step:"
#: Seconds for a step; `pip install` is the longest.
PATIENCE = 200.0


class Shell:
    """A shell that a person types into."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def type(self, command: str) -> tuple[int, str]:
        """Run a command; its exit code, and what it printed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\necho {MARK} $?\n".encode())
        said = ""
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                if line.startswith(MARK):
                    return int(line.removeprefix(MARK)), said
                said += line
        raise AssertionError(f"the shell ended in {command!r}:\n{said}")

    async def right(self, command: str) -> str:
        """Run a command that has to succeed; what it printed."""
        code, said = await self.type(command)
        assert code == 0, f"{command}: {code}\n{said}"
        return said


@asynccontextmanager
async def a_shell(folder: Path, **environ: str) -> AsyncIterator[Shell]:
    """One in a folder, without anything of ours in its environment; whatever it has started is ended with it."""
    ours = re.compile(r"SIGNALBOX_|PYTHON|VIRTUAL_ENV|DATABASE_URL|REDIS_URL")
    clean = {name: value for name, value in os.environ.items() if not ours.match(name)}
    process = await asyncio.create_subprocess_exec(
        "bash",
        cwd=folder,
        env=clean | environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Shell(process)
    finally:
        below = psutil.Process(process.pid).children(recursive=True)
        for one in below:
            one.send_signal(signal.SIGTERM)
        for one in psutil.wait_procs(below, timeout=HANGS)[1]:
            one.kill()
        process.kill()
        await process.wait()


def commands(section: str) -> list[str]:
    """The commands that a section of the page tells to type."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    found = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert found, f"the page has no section {section!r}"
    return found


def filled_in(text: str, values: dict[str, str]) -> str:
    """The text with what is another on each machine."""
    for example, real in values.items():
        text = text.replace(example, real)
    return text


async def test_a_newcomer_follows_the_page_to_the_first_proven_cancel(
    tmp_path: Path, valkey: Redis, empty_database_url: str
) -> None:
    port, examples = free_port(), ROOT / "examples"
    python = shlex.quote(sys.executable)
    ours = {
        "make wheels": f"make -C {shlex.quote(str(ROOT))} wheels WHEELS={tmp_path}/dist PYTHON={python}",
        "/srv/shop/.venv/bin/python": sys.executable,
        "python3 ": f"{python} ",
        "/opt/signalbox": f"{tmp_path}/venv",
        "redis://:password@10.0.0.5:6379/0": valkey.url,
        "postgresql://signalbox:password@10.0.0.6:5432/signalbox": empty_database_url,
        "/srv/shop": str(examples),
    }
    shop = environment.shop(valkey.url_of(1)) | {"SIGNALBOX_PORT": str(port), "SIGNALBOX_HOSTNAME": "newcomer"}
    async with a_shell(tmp_path, **shop) as shell:

        async def follow(section: str) -> str:
            return "".join([await shell.right(filled_in(command, ours)) for command in commands(section)])

        await follow("1. Wheels")
        holds_everything(tmp_path / "dist")
        await nothing_is_set_up(shell)
        said = await follow("2. Setup")
        user, password = first_user(said)
        again = await shell.right("cp signalbox.env first; signalbox setup && cmp signalbox.env first")
        assert "there are some already; none was made or changed" in again
        block = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        assert block
        (tmp_path / "signalbox.toml").write_text(filled_in(block[1], ours), encoding="utf-8")
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
        task_id = (await shell.right(f"(cd {shlex.quote(str(examples))} && {python} -m shop long 60)")).strip()

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
