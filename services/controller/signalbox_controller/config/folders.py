"""Folders and files of a controller, below its data folder."""

import fcntl
import os
from pathlib import Path
from typing import IO

import msgspec

from signalbox.local.places import AGENTS, OPERATOR, guest_folder, run_folder
from signalbox_controller.errors import AlreadyRunning, ControllerError


class Folders(msgspec.Struct, frozen=True):
    """The folders of one controller."""

    #: Output of the Celery processes; other services may have their logs there, too.
    logs: Path
    #: State that survives a restart of the controller.
    state: Path
    #: The sockets; only the controller's own user may enter.
    run: Path
    #: On the PYTHONPATH of external workers.
    guest: Path
    #: Copies of the agent for the processes that we launch; see `launch/agent_copies.py`.
    agent: Path

    @property
    def cancelled(self) -> Path:
        """The ids of the tasks that must never run here."""
        return self.state / "cancelled"

    @property
    def socket(self) -> Path:
        """The socket for agents: the same across restarts, so that they find the next controller, too."""
        return self.run / AGENTS

    @property
    def operator(self) -> Path:
        """The socket for operators on this host; see `commands/local_socket.py`."""
        return self.run / OPERATOR


def prepare(data: Path) -> Folders:
    """Make the folders.

    Raises:
        ControllerError: the folder for the sockets belongs to somebody else, or no PYTHONPATH can hold the path.
    """
    data = data.absolute()
    if os.pathsep in str(data):
        raise ControllerError(f"{data} has a colon in its path, which divides PYTHONPATH; set SIGNALBOX_DATA elsewhere")
    folders = Folders(data / "logs", data / "controller", run_folder(data), guest_folder(data), data / "agent")
    for folder in (data, folders.logs, folders.state, folders.run):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folders.run.is_symlink() or folders.run.stat().st_uid != os.getuid():
        raise ControllerError(f"{folders.run} belongs to somebody else; remove it or set SIGNALBOX_DATA elsewhere")
    folders.run.chmod(0o700)
    return folders


def link_cancelled(folders: Folders) -> None:
    """Link the file of cancelled ids into the folder of the agents' socket, where agents look for it."""
    beside = folders.run / folders.cancelled.name
    beside.unlink(missing_ok=True)
    beside.symlink_to(folders.cancelled)


def lock(folders: Folders) -> IO[str]:
    """Hold the data folder until the returned file is closed.

    Raises:
        AlreadyRunning: another controller holds it.
    """
    file = (folders.state / "controller.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise AlreadyRunning(
            f"the controller with pid {holder} already uses {folders.state.parent};"
            " stop it, or set SIGNALBOX_DATA elsewhere"
        ) from None
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
