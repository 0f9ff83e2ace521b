"""Procfs, as far as only the controller needs it: searches and times; the rest is in `signalbox_agent.proc`."""

import os
import time

from signalbox_agent.proc import Proc, identify, pids, variable

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
