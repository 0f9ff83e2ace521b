"""CPU time and memory of processes, with all that descends from them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from signalbox_agent.proc import descendants

#: What a process that ends while it is looked at makes fail.
_GONE = (FileNotFoundError, ProcessLookupError)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """CPU time and memory."""

    #: Seconds on a CPU, so far.
    cpu: float
    #: Megabytes of proportional set size (proc(5)): what would be free if the processes were not there.
    memory: float

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu + other.cpu, self.memory + other.memory)


NONE = Usage(0.0, 0.0)


def family(pids: Iterable[int]) -> set[int]:
    """These processes, and all that descend from them."""
    roots = list(pids)
    return {*roots, *(process.pid for process in descendants(roots))}


def usage(pids: Iterable[int]) -> Usage:
    """The sum over these processes, without what descends from them."""
    total = NONE
    for pid in pids:
        with suppress(*_GONE):
            total += Usage(_cpu(pid), _memory(pid))
    return total


def by_group(groups: Mapping[str, Iterable[int]]) -> dict[str, Usage]:
    """The usage of each group of processes and all that descends from them, unless that is a group of its own."""
    families = {name: family(pids) for name, pids in groups.items()}
    own = {
        name: members.difference(*(other for other in families.values() if other < members))
        for name, members in families.items()
    }
    return {name: usage(members) for name, members in own.items()}


def cpu_between(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> dict[str, float]:
    """Seconds on a CPU of each group meanwhile."""
    return {name: after[name].cpu - before[name].cpu for name in before}


def _cpu(pid: int) -> float:
    """Of its threads in nanoseconds, and of children that have ended in ticks; threads that have ended are lost."""
    alive = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(*_GONE):
            alive += int((thread / "schedstat").read_text().split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return alive / 1e9 + (int(fields[13]) + int(fields[14])) / _TICKS


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 1024
