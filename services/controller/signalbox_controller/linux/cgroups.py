"""Cgroups of this controller: whether it may make any, one for each launch, and the proof that a host can give.

A cgroup of version 2 is needed, also where that is mounted beside version 1 (hybrid), and the right to make folders in
our own: systemd gives it by `Delegate=yes`, root has it, a container has it where `/sys/fs/cgroup` is writable.
"""

import contextlib
import errno
import hashlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from signalbox.messages.base import Evidence
from signalbox_agent.cgroup import LEFT, Cgroup, path_of
from signalbox_controller.linux.accounts import Account

log = logging.getLogger(__name__)

#: The remedy for all that is no fault of the kernel's.
REMEDY = "run the controller under systemd with Delegate=yes, as root, or in a container with a writable cgroup"
SWITCHED_OFF = "switched off by SIGNALBOX_CGROUPS=off"
NOT_MOUNTED = "no cgroup v2 is mounted, or not the part that the controller is in"
TOO_OLD = "the kernel has no cgroup.kill (Linux 5.14)"
CONTAINED = "each task's processes are held by the kernel in a cgroup"
#: Seconds for a process that only enters a cgroup, and ends.
PROBE_WITHIN = 10.0

_ESCAPE = re.compile(r"\\([0-7]{3})")
_PROBE = "import os, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), b'0')"


class Mount(NamedTuple):
    """Where the hierarchy is mounted, and which part of it."""

    point: str
    root: str


class Containment(msgspec.Struct, frozen=True):
    """How this host proves that nothing of a task is left, and why."""

    evidence: Evidence
    #: In words; where there are no cgroups, with the remedy.
    reason: str
    #: That of this controller.
    cgroup: Cgroup | None = None

    def of_launch(self, instance: str) -> Cgroup | None:
        """Make the cgroup of a launch; None where there can be none."""
        if self.cgroup is None:
            return None
        launch = self.cgroup.below(instance)
        try:
            launch.below(LEFT).make()
        except OSError as error:
            log.warning("No cgroup for a launch, what its tasks start is searched for: %s", error)
            launch.remove()
            return None
        return launch


def delegate(cgroup: Cgroup, account: Account) -> None:
    """Let a user make cgroups in this one, and move processes within it (cgroups(7), Delegation).

    Raises:
        OSError: that cannot be done.
    """
    for one in (cgroup, cgroup.below(LEFT)):
        for path in (
            one.path,
            one.file("cgroup.procs"),
            one.file("cgroup.threads"),
            one.file("cgroup.subtree_control"),
        ):
            with contextlib.suppress(FileNotFoundError):
                os.chown(path, account.uid, account.gid)


def mount_of(mountinfo: str) -> Mount | None:
    """The mount of the hierarchy of version 2, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5))."""
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        if filesystem.startswith("cgroup2 "):
            root, point = mount.split()[3:5]
            return Mount(_unescaped(point), _unescaped(root))
    return None


def folder_of(mount: Mount | None, membership: str) -> str:
    """The folder of the cgroup that a process is in; empty when it cannot be seen; `membership` as in `path_of`."""
    path = path_of(membership)
    if mount is None or not path:
        return ""
    root = mount.root.rstrip("/")
    if path != root and not path.startswith(f"{root}/"):
        return ""
    return (mount.point + path.removeprefix(root)).rstrip("/")


def name_for(data: Path) -> str:
    """The name of the cgroup of the controller with this data folder: the same when it comes back."""
    return f"signalbox-{hashlib.sha256(str(data.absolute()).encode()).hexdigest()[:12]}"


def own_folder() -> str:
    """The folder of the cgroup that this process is in; empty when it cannot be seen."""
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        membership = Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return folder_of(mount_of(mountinfo), membership)


@contextmanager
def containment(data: Path, *, off: bool = False) -> Iterator[Containment]:
    """The containment of this host; the cgroup of this controller is removed at the end if nothing runs in it."""
    found = find(data, off=off)
    if found.cgroup is not None:
        log.info("Cgroups: %s, in %s", found.reason, found.cgroup.path)
    else:
        log.warning("No cgroups, what tasks start is searched for: %s", found.reason)
    yield found
    if found.cgroup is not None:
        _sweep(found.cgroup)


def _sweep(ours: Cgroup) -> None:
    """Remove what belongs to launches that are over, and all of it when there are no others."""
    for launch in ours.children():
        if not launch.populated:
            launch.remove()
    if not ours.children():
        ours.remove()


def find(data: Path, *, off: bool = False) -> Containment:
    """Make the cgroup of the controller with this data folder, and find out whether it can be used."""
    if off:
        return Containment("search", SWITCHED_OFF)
    folder = own_folder()
    if not folder:
        return Containment("search", NOT_MOUNTED)
    ours = Cgroup(folder).below(name_for(data))
    try:
        _sweep(ours)
        ours.make()
        _probe(ours.below("probe"))
    except OSError as error:
        _sweep(ours)
        return Containment("search", _words(error, folder))
    return Containment("cgroup", CONTAINED, ours) if ours.can_kill else Containment("search", TOO_OLD)


def _probe(cgroup: Cgroup) -> None:
    """Have a process enter it: that may be forbidden where making it is not.

    Raises:
        OSError: it may not be made, or not be entered.
    """
    cgroup.make()
    try:
        command = [sys.executable, "-I", "-S", "-c", _PROBE, cgroup.file("cgroup.procs")]
        subprocess.run(command, check=True, timeout=PROBE_WITHIN, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except subprocess.SubprocessError:
        raise PermissionError(errno.EACCES, "a process may not enter", cgroup.path) from None
    finally:
        cgroup.remove()


def _words(error: OSError, folder: str) -> str:
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{folder} is not writable: {REMEDY}"
    return f"no cgroup can be made in {folder}: {error.strerror}"


def _unescaped(text: str) -> str:
    """Blanks and the like are written as octal numbers."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
