"""What our children left running when they could not stop it themselves."""

import ctypes
import os
import signal
import time
from pathlib import Path

from signalbox_local.identity import Identity, stat_fields

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Have the kernel hand us, not init, the children of those of our children that die (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[Identity]:
    """Everything below `pid` that runs now, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        queue += below
        found += [identity for child in below if (identity := Identity.of(child))]
    return found


def end_descendants(patience: float = 5.0) -> list[int]:
    """Kill everything below us until nothing is left, or `patience` seconds are over; the pids it met.

    Only for the very end: it also reaps, so whoever still waits for a child of its own would miss the exit code.
    """
    met: set[int] = set()
    deadline = time.monotonic() + patience
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        for process in left:
            met.add(process.pid)
            process.send(signal.SIGKILL)
        _reap()
        time.sleep(0.01)
    _reap()
    return sorted(met)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return
