"""Reading `/proc` (proc(5)): who descends from whom, and who is really gone.

A pid is given to somebody else later; a pid with its start time in clock ticks is not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Who(NamedTuple):
    """One process, for good."""

    pid: int
    ticks: int


class Stat(NamedTuple):
    """The part of `/proc/<pid>/stat` that we need."""

    who: Who
    parent: int
    #: `Z` is a zombie, `X` is dead.
    state: str


def stat(pid: int) -> Stat | None:
    """What has this pid now; None when nothing has."""
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(handle, 4096)
    except OSError:  # it went away meanwhile
        return None
    finally:
        os.close(handle)
    # The command's name stands in brackets and may itself hold brackets and spaces.
    fields = data[data.rfind(b")") + 2 :].split(None, 20)
    return Stat(Who(pid, int(fields[19])), int(fields[1]), fields[0].decode())


def identify(pid: int) -> Who | None:
    """The process that has this pid now."""
    seen = stat(pid)
    return seen.who if seen else None


def present(who: Who) -> bool:
    """Whether it still is in the process table, be it as a zombie."""
    return identify(who.pid) == who


def ended(who: Who) -> bool:
    """Whether it can do nothing any more: gone, or a zombie with all its threads."""
    seen = stat(who.pid)
    if seen is None or seen.who != who or seen.state == "X":
        return True
    return seen.state == "Z" and len(_threads(who.pid)) <= 1


def descendants(roots: Iterable[int]) -> list[Who]:
    """All living processes below these."""
    family = _below(roots) if _kernel_lists_children() else _below_by_search(roots)
    return [seen.who for seen in family if seen.state not in "ZX"]


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _kernel_lists_children() -> bool:
    """The file is there when the kernel was built with CONFIG_PROC_CHILDREN."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def _children(pid: int) -> Iterator[int]:
    for thread in _threads(pid):
        path = f"/proc/{pid}/task/{thread}/children"
        with contextlib.suppress(OSError), open(path, "rb") as file:  # the thread may have gone meanwhile
            yield from map(int, file.read().split())


def _below(roots: Iterable[int]) -> list[Stat]:
    waiting, found = list(roots), {}
    while waiting:
        for child in _children(waiting.pop()):
            seen = stat(child)
            if seen is not None and child not in found:
                found[child] = seen
                waiting.append(child)
    return list(found.values())


def _below_by_search(roots: Iterable[int]) -> list[Stat]:
    """One pass over all processes: about 12 µs for each."""
    families: dict[int, list[Stat]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (seen := stat(int(entry))) is not None:
            families.setdefault(seen.parent, []).append(seen)
    waiting, found = list(roots), {}
    while waiting:
        for child in families.get(waiting.pop(), ()):
            if child.who not in found:
                found[child.who] = child
                waiting.append(child.who.pid)
    return list(found.values())


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where there are none (before Linux 5.3)."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None
