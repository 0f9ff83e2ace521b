"""Procfs, as far as only the controller needs it: searches, times, exit codes; the rest: `signalbox_agent.proc`."""

import os
import time
from pathlib import Path

from signalbox_agent.proc import Proc, identify, pids, stat, variable

#: Clock ticks per second, the unit of start times.
TICKS = os.sysconf("SC_CLK_TCK")
#: The environment variable that the agent gives to whatever a task launches.
TASK_VARIABLE = b"SIGNALBOX_TASK_ID"
INSTANCE_VARIABLE = b"SIGNALBOX_INSTANCE"


def bearing(name: bytes, value: str) -> list[Proc]:
    """Every process of the host that was executed with this variable; a search through all of them (slow)."""
    return [proc for pid in pids() if variable(pid, name) == value and (proc := identify(pid)) is not None]


def ticks_now() -> int:
    """The present, on the scale of start times."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * TICKS)


def code_of(proc: Proc) -> int | None:
    """The exit code of a dead process that is no child of ours, negative for a signal; None once it is reaped.

    An adopted process belongs to pid 1, which alone can wait for it. The kernel tells the code to others of the same
    user until pid 1 has reaped the zombie (proc(5), field 52).
    """
    found = stat(proc.pid)
    if found is None or found.proc != proc or not found.ended:
        return None
    return os.waitstatus_to_exitcode(found.exit_status)


def arguments_of(pid: int) -> list[str]:
    """The command line of a process; empty when it is gone, or not for us to see."""
    return _items(f"/proc/{pid}/cmdline")


def environment_of(pid: int) -> dict[str, str]:
    """The variables that a process was executed with; empty when it is gone, or not for us to see."""
    pairs = (item.partition("=") for item in _items(f"/proc/{pid}/environ"))
    return {name: value for name, sign, value in pairs if sign}


def user_of(pid: int) -> int | None:
    """The id of the user that a process runs as; None when it is gone, or has rights of several."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("Uid:")), "")
    users = set(map(int, line.split()[1:]))
    return users.pop() if len(users) == 1 else None


def pid_namespace(pid: int) -> str:
    """The pid namespace of a process (pid_namespaces(7)); empty when it is gone, or not for us to see."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def in_our_namespace(pid: int) -> bool:
    """Whether its pid namespace is ours: what is below us only has other pids there, and may belong to a container.

    Paths, instances of a copied environment and ids of tasks do not tell one container from another.
    """
    return pid_namespace(pid) == pid_namespace(os.getpid()) != ""


def _items(path: str) -> list[str]:
    try:
        return Path(path).read_bytes().decode(errors="surrogateescape").rstrip("\0").split("\0")
    except OSError:
        return []
