"""Copies of the agent, a folder for each version: a process that outlives an upgrade keeps its modules."""

import hashlib
import os
import shutil
from pathlib import Path

import signalbox_agent
from signalbox_controller.errors import ControllerError

#: Versions that are kept; the oldest go first.
KEPT = 8

_AGENT = Path(signalbox_agent.__file__).parent


def copy_agent(folder: Path) -> Path:
    """Copy the installed agent below `folder`, unless it is there; return what belongs on PYTHONPATH.

    Raises:
        ControllerError: the copy cannot be written.
    """
    try:
        copy = folder / _digest(_AGENT)
        folder.mkdir(mode=0o700, exist_ok=True)
        if _digest(copy / _AGENT.name) != copy.name:  # missing, or cut short when the machine lost its power
            _write(copy)
        os.utime(copy)
        _sweep(folder)
    except OSError as error:
        raise ControllerError(f"the agent cannot be copied into {folder}: {error}") from None
    return copy


def _digest(package: Path) -> str:
    """The version of a package: a hash of its modules."""
    digest = hashlib.sha256()
    for module in sorted(package.rglob("*.py")):
        digest.update(f"{module.relative_to(package)}\0".encode() + module.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _write(copy: Path) -> None:
    fresh = copy.with_suffix(".new")
    for former in (fresh, copy):
        shutil.rmtree(former, ignore_errors=True)
    shutil.copytree(_AGENT, fresh / _AGENT.name)  # keeps the times of modules, so that what is compiled stays valid
    fresh.replace(copy)


def _sweep(folder: Path) -> None:
    """Remove the oldest versions; the link of an older release stays for the processes that began with it."""
    copies = [copy for copy in folder.iterdir() if copy.name != _AGENT.name]
    for copy in sorted(copies, key=lambda copy: copy.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(copy, ignore_errors=True)
