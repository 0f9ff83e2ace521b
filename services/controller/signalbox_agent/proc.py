"""`/proc` (proc(5)), read in one place: which process has a pid, what descends from it, and whether it has ended.

The controller and the local run read it through this module, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(frozen=True)
class Proc:
    """One process. A pid is given to another process later; a pid with its start time is not."""

    pid: int
    #: Clock ticks since the boot.
    started: int


class Stat(NamedTuple):
    """The part of `/proc/<pid>/stat` that is needed."""

    proc: Proc
    #: `R`, `S`, `D`, `T`, `Z` for a zombie, `X` for dead, …
    state: str
    parent: int
    session: int
    #: As wait(2) gives it; only a zombie has one.
    exit_status: int

    @property
    def ended(self) -> bool:
        """Whether no thread of the process can run any more.

        One whose first thread has ended shows as a zombie, too, while its other threads run (pthread_exit(3)).
        """
        return self.state == "X" or (self.state == "Z" and len(_threads(self.proc.pid)) <= 1)


def stat(pid: int) -> Stat | None:
    """The process that has this pid now; None when there is none."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    # The command's name stands in brackets and may itself hold brackets and spaces.
    fields = data[data.rfind(b")") + 2 :].split()
    proc = Proc(pid, int(fields[19]))
    return Stat(proc, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[49]))


def identify(pid: int) -> Proc | None:
    """The process that has this pid now."""
    seen = stat(pid)
    return seen.proc if seen else None


def present(proc: Proc) -> bool:
    """Whether it is in the process table, be it as a zombie."""
    return identify(proc.pid) == proc


def ended(proc: Proc) -> bool:
    """Whether it is gone, or a zombie with all its threads."""
    seen = stat(proc.pid)
    return seen is None or seen.proc != proc or seen.ended


def pids() -> Iterator[int]:
    """Every process that can be seen."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def children(pid: int) -> list[int]:
    """The pids of all direct children, ended or not."""
    if _kernel_lists_children():
        lists = (_read(f"/proc/{pid}/task/{thread}/children") for thread in _threads(pid))
        return [int(child) for text in lists for child in (text or b"").split()]
    return [other for other in pids() if (seen := stat(other)) is not None and seen.parent == pid]


def descendants(roots: Iterable[int]) -> list[Proc]:
    """All below these that have not ended, parents before children."""
    families = None if _kernel_lists_children() else _by_parent()
    waiting, found = list(roots), dict[Proc, Stat]()
    while waiting:
        pid = waiting.pop()
        below = map(stat, children(pid)) if families is None else families.get(pid, ())
        new = [child for child in below if child is not None and child.proc not in found]
        found.update((child.proc, child) for child in new)
        waiting.extend(child.proc.pid for child in new)
    return [seen.proc for seen in found.values() if not seen.ended]


def variable(pid: int, name: bytes) -> str | None:
    """A variable of the environment that the process was executed with; None when unset or unreadable."""
    start = name + b"="
    found = (item[len(start) :] for item in _environment(pid).split(b"\0") if item.startswith(start))
    return next((value.decode(errors="replace") for value in found), None)


def command_line(pid: int) -> list[str]:
    """The words of its command line, or the one title that it has given itself; none of a kernel thread or zombie."""
    data = _read(f"/proc/{pid}/cmdline") or b""
    return [word.decode(errors="replace") for word in data.rstrip(b"\0").split(b"\0") if data]


def effective_user(pid: int) -> int | None:
    """The id of the user whose rights it has; None when it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def boot_id() -> str:
    """The id of this boot of the machine; start times begin anew with each."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there are none (before Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


def _read(path: str) -> bytes | None:
    """All of a file; None when it is not there, not for us, or of a process that ended meanwhile."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return None


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _environment(pid: int) -> bytes:
    """A thread that has ended shows none, be it the first; any other shows that of the process."""
    block = _read(f"/proc/{pid}/environ")
    if block:
        return block
    others = (_read(f"/proc/{pid}/task/{thread}/environ") for thread in _threads(pid) if int(thread) != pid)
    return next(filter(None, others), b"")


def _kernel_lists_children() -> bool:
    """The file is there when the kernel was built with CONFIG_PROC_CHILDREN."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _by_parent() -> dict[int, list[Stat]]:
    """All processes, in one pass: about 12 µs for each."""
    families: dict[int, list[Stat]] = {}
    for pid in pids():
        if (seen := stat(pid)) is not None:
            families.setdefault(seen.parent, []).append(seen)
    return families
