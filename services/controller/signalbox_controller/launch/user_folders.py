"""Folders of processes that run as another user than the controller, which is root then.

The data folder is closed to all others. Below `/run` there is a folder that anybody may pass through; in it are a copy
of the agent, a second socket for agents, and a folder for each such user, which its processes keep spools and slots in.
It ends with the boot of the machine, as the processes do. The controller looks into it with that user's rights only.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import msgspec

from signalbox.local.places import AGENTS
from signalbox_controller.errors import ControllerError
from signalbox_controller.launch.agent_copies import copy_agent
from signalbox_controller.linux.accounts import Account, acting_as_owner_of

RUN = Path("/run")


class UserFolders(msgspec.Struct, frozen=True):
    """The folders of one controller."""

    base: Path
    #: The ids of the tasks that must never run; a copy is given to each user at each launch.
    cancelled: Path

    @property
    def socket(self) -> Path:
        """The second socket for agents."""
        return self.base / AGENTS

    def folder(self, account: Account) -> Path:
        """The folder of a user."""
        return self.base / str(account.uid)

    def socket_of(self, account: Account) -> Path:
        """The socket as this user's processes are given it: spools and slots lie beside it."""
        return self.folder(account) / AGENTS

    def open(self) -> None:
        """Make the base.

        Raises:
            ControllerError: it belongs to somebody else, or cannot be made.
        """
        try:
            self.base.mkdir(mode=0o711, exist_ok=True)
            found = self.base.lstat()
            if found.st_uid != os.getuid() or self.base.is_symlink():
                raise ControllerError(f"{self.base} belongs to somebody else; remove it")
            self.base.chmod(0o711)
        except OSError as error:
            raise ControllerError(f"{self.base} cannot be made for the processes of other users: {error}") from error

    def agent(self) -> Path:
        """A copy of the agent that anybody may read; return what belongs on PYTHONPATH."""
        copy = copy_agent(self.base / "agent")
        for path in (copy.parent, copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return copy

    def prepare(self, account: Account) -> None:
        """Make the folder of a user, with the socket and the cancelled ids in it.

        Raises:
            OSError: that cannot be done.
        """
        folder = self.folder(account)
        folder.mkdir(mode=0o700, exist_ok=True)
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
        cancelled = self.cancelled.read_bytes() if self.cancelled.exists() else b""
        with acting_as_owner_of(folder):
            with contextlib.suppress(FileExistsError):
                (folder / AGENTS).symlink_to(self.socket)
            fresh = folder / f"{self.cancelled.name}.new"
            fresh.unlink(missing_ok=True)
            fresh.write_bytes(cancelled)
            fresh.replace(folder / self.cancelled.name)


def user_folders(data: Path, cancelled: Path) -> UserFolders:
    """Those of the controller with this data folder: the same when it comes back."""
    name = hashlib.sha256(os.fsencode(data.absolute())).hexdigest()[:16]
    return UserFolders(RUN / f"signalbox-{name}", cancelled)
