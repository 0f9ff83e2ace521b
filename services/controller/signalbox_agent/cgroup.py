"""Cgroup, version 2 (cgroups(7)): a folder that holds processes, and whatever they start, however that hides.

A new session, two forks, another environment: none of them leaves a cgroup. The controller uses this module, too. No
cgroup controller is ever enabled in one of these, so that processes may be in any of them.
"""

from __future__ import annotations

import contextlib
import os
import re

from signalbox_agent.proc import Proc, identify

#: The cgroup for what finished tasks have left running, below that of a launch.
LEFT = "left"

#: The name of the cgroup of a pool child: a pid is given to another process later, a pid with its start time is not.
_CHILD = re.compile(r"(\d+)-(\d+)")


def name_for(proc: Proc) -> str:
    """The name of the cgroup of a pool child."""
    return f"{proc.pid}-{proc.started}"


def proc_of(name: str) -> Proc | None:
    """The pool child whose cgroup has this name; None when it is not that of a child."""
    found = _CHILD.fullmatch(name)
    return Proc(int(found[1]), int(found[2])) if found else None


def path_of(membership: str) -> str:
    """The path of a cgroup, seen from the root of the hierarchy; `membership` is the text of `/proc/<pid>/cgroup`."""
    return next((line[3:] for line in membership.splitlines() if line.startswith("0::")), "")


class Cgroup:
    """One cgroup; nothing is made, or looked at, before it is asked for."""

    def __init__(self, path: str) -> None:
        """`path` is that of its folder."""
        self.path = path

    def __repr__(self) -> str:
        return f"Cgroup({self.path!r})"

    @property
    def name(self) -> str:
        """The name of its folder."""
        return os.path.basename(self.path)

    def below(self, name: str) -> Cgroup:
        """The cgroup of this name in it."""
        return Cgroup(os.path.join(self.path, name))

    def file(self, name: str) -> str:
        """The path of one of its interface files."""
        return os.path.join(self.path, name)

    @property
    def exists(self) -> bool:
        """Whether its folder is there."""
        return os.path.isdir(self.path)

    def make(self) -> None:
        """Make it, and those above it.

        Raises:
            OSError: it may not be made here, or there are too many (ENOSPC, EACCES, EROFS).
        """
        os.makedirs(self.path, exist_ok=True)

    def enter(self) -> None:
        """Move this process into it.

        Raises:
            OSError: this process may not move.
        """
        self.take(0)

    def take(self, pid: int) -> None:
        """Move a process into it, with all its threads, and without what it has started.

        Raises:
            OSError: it may not be moved, or it is gone (ESRCH).
        """
        self._write("cgroup.procs", str(pid))

    def kill(self) -> None:
        """Send KILL to all that is in it and below it, at once: nothing forks away (Linux 5.14).

        Raises:
            OSError: this kernel cannot, or this process may not.
        """
        try:
            self._write("cgroup.kill", "1")
        except OSError:
            if self.exists:
                raise

    @property
    def can_kill(self) -> bool:
        """Whether this kernel has `cgroup.kill`."""
        return os.path.exists(self.file("cgroup.kill"))

    @property
    def populated(self) -> bool:
        """Whether anything lives in it or below it; zombies do not. One that is gone was empty: only such can go."""
        try:
            with open(self.file("cgroup.events"), "rb") as file:
                return b"populated 0" not in file.read()
        except OSError:
            return self.exists

    def pids(self) -> list[int]:
        """The pids of all processes in it and below it, without zombies."""
        return [pid for folder, _, _ in os.walk(self.path) for pid in _pids_in(folder)]

    def procs(self) -> list[Proc]:
        """The same as processes."""
        found = map(identify, self.pids())
        return [proc for proc in found if proc is not None]

    def has(self, pid: int) -> bool:
        """Whether the kernel says that this process is in a cgroup of this name."""
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
                return os.path.basename(path_of(file.read())) == self.name
        except OSError:
            return False

    def children(self) -> list[Cgroup]:
        """The cgroups directly below it."""
        try:
            with os.scandir(self.path) as entries:
                return [Cgroup(entry.path) for entry in entries if entry.is_dir()]
        except OSError:
            return []

    def remove(self) -> bool:
        """Remove it with all below it, as far as that is empty; answer whether it is gone."""
        for folder, _, _ in os.walk(self.path, topdown=False):
            with contextlib.suppress(OSError):  # populated, or removed by somebody else
                os.rmdir(folder)
        return not self.exists

    def _write(self, name: str, text: str) -> None:
        handle = os.open(self.file(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def _pids_in(folder: str) -> list[int]:
    try:
        with open(os.path.join(folder, "cgroup.procs"), "rb", buffering=0) as file:
            return [int(pid) for pid in file.readall().split()]
    except OSError:  # removed meanwhile
        return []
