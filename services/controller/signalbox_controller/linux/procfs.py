"""Reading `/proc`: who is who, who descends from whom, and who is really gone (proc(5)).

A pid alone names nobody for long; a pid with its start time in clock ticks does.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

#: Clock ticks per second, the unit of start times.
TICKS = os.sysconf("SC_CLK_TCK")
#: The environment variable that the agent gives to whatever a task launches.
TASK_VARIABLE = b"SIGNALBOX_TASK_ID"
INSTANCE_VARIABLE = b"SIGNALBOX_INSTANCE"


class Proc(msgspec.Struct, frozen=True):
    """One process, past confusion with a later one of the same pid."""

    pid: int
    #: Clock ticks since the boot.
    started: int


class Stat(msgspec.Struct, frozen=True):
    """The part of `/proc/<pid>/stat` that we need."""

    proc: Proc
    #: `R`, `S`, `D`, `Z` for a zombie, `X` for dead, …
    state: str
    parent: int
    session: int


def stat(pid: int) -> Stat | None:
    """What there is under this pid at the moment; None when there is nothing."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The command's name stands in brackets and may itself hold brackets and spaces.
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(Proc(pid, int(fields[19])), fields[0].decode(), int(fields[1]), int(fields[3]))


def identify(pid: int) -> Proc | None:
    """The process that has this pid now."""
    seen = stat(pid)
    return seen.proc if seen else None


def present(proc: Proc) -> bool:
    """Whether the process still stands in the process table, even as a zombie."""
    seen = stat(proc.pid)
    return seen is not None and seen.proc == proc


def alive(proc: Proc) -> bool:
    """Whether the process can still do anything."""
    seen = stat(proc.pid)
    return seen is not None and seen.proc == proc and seen.state not in "ZX"


def children(pid: int) -> list[int]:
    """The pids of all direct children."""
    try:
        texts = [(thread / "children").read_bytes() for thread in Path(f"/proc/{pid}/task").iterdir()]
    except FileNotFoundError:
        return [] if not Path(f"/proc/{pid}").exists() else _children_by_search(pid)
    except OSError:
        return []
    return [int(child) for text in texts for child in text.split()]


def _children_by_search(pid: int) -> list[int]:
    """For kernels that are built without CONFIG_PROC_CHILDREN."""
    return [seen.proc.pid for other in pids() if (seen := stat(other)) and seen.parent == pid]


def descendants(pid: int) -> list[Proc]:
    """All that descends from `pid` at the moment, parents before children; zombies included."""
    found: list[Proc] = []
    waiting = children(pid)
    while waiting:
        child = waiting.pop(0)
        if (proc := identify(child)) is not None:
            found.append(proc)
            waiting += children(child)
    return found


def variable(pid: int, name: bytes) -> str | None:
    """A variable of the environment that the process was executed with; None when unset or unreadable."""
    try:
        block = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    start = name + b"="
    found = (item[len(start) :] for item in block.split(b"\0") if item.startswith(start))
    return next((value.decode(errors="replace") for value in found), None)


def pids() -> Iterator[int]:
    """Every process that we may look at."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def bearing(name: bytes, value: str) -> list[Proc]:
    """Every process of the host that was executed with this variable; a search through all of them (slow)."""
    return [proc for pid in pids() if variable(pid, name) == value and (proc := identify(pid)) is not None]


def boot_id() -> str:
    """Tells one boot of the machine from another, as start times begin anew with each."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def ticks_now() -> int:
    """The present, on the scale of start times."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)
