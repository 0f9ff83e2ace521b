"""Interpreters, the environment that our wheels are installed into, and that of a project."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from support.install_page import WHEELS, commands, filled_in, of_an_installation
from support.shell import a_shell
from support.walks.shapes import Shape

#: The oldest that we support.
_OLDEST = (3, 11)


class Installation(msgspec.Struct, frozen=True):
    """Wheels and environment, made as the page tells; many walks may start from it."""

    folder: Path
    #: What a shell has to be told before it finds our commands.
    exports: tuple[str, ...]


async def install(folder: Path, python: str) -> Installation:
    """Follow the page's section about wheels."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nobody waits meanwhile
    values = of_an_installation(folder, python)
    lines = [filled_in(line, values) for line in commands(WHEELS)]
    async with a_shell(folder) as shell:
        for line in lines:
            await shell.right(line)
    return Installation(folder, tuple(line for line in lines if line.startswith("export ")))


async def install_project(shape: Shape, celery: str, python: str, folder: Path) -> str:
    """What the project requires, with this Celery; answers its interpreter."""
    of_its_own = folder / "bin" / "python"
    requirements = shape.folder / "requirements.txt"
    pip = (str(of_its_own), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    for command in ((python, "-m", "venv", str(folder)), (*pip, "-r", str(requirements), f"celery~={celery}.0")):
        await asyncio.to_thread(_run, command)
    return str(of_its_own)


def _run(command: Sequence[str]) -> None:
    """Run it; what it printed is shown only when it fails."""
    output = subprocess.STDOUT
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, text=True, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"


def interpreters() -> dict[str, str]:
    """Each supported Python that the PATH has, by its version, the oldest first; ours is always among them."""
    found = {sys.version_info[:2]: sys.executable}
    names = {
        file.name
        for part in os.get_exec_path()
        if Path(part).is_dir()
        for file in Path(part).iterdir()
        if re.fullmatch(r"python3\.\d+", file.name)
    }
    for name in names:
        version = (3, int(name.partition(".")[2]))
        if version >= _OLDEST and version not in found and (works := _working(name)):
            found[version] = works
    return {".".join(map(str, version)): path for version, path in sorted(found.items())}


def _working(name: str) -> str | None:
    """The interpreter of this name, unless it is a stand-in for one that is not there."""
    path = shutil.which(name)
    if path is None:
        return None
    asked = subprocess.run([path, "-c", "import ssl, venv"], capture_output=True, check=False)
    return path if asked.returncode == 0 else None
