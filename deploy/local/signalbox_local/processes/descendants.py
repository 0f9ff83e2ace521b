"""Descendants of this process that are left at the end: each is killed."""

import os

from signalbox_agent.proc import Proc, descendants
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.signals import kill_all

#: Seconds for all of them to go.
KILL_WITHIN = 5.0


async def end_descendants() -> list[int]:
    """Kill everything below us, until nothing is left; the pids it killed.

    Only for the very end: it also reaps, so whoever still waits for a child of its own would miss the exit code.
    """
    killed: dict[Proc, None] = {}

    def below() -> list[Proc]:
        found = descendants([os.getpid()])
        killed.update(dict.fromkeys(found))
        return found

    await kill_all(below, Reaper(), KILL_WITHIN)
    return sorted(proc.pid for proc in killed)
