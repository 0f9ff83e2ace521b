"""The exit status of a process that is not our child: an adopted one belongs to pid 1, which alone can wait for it.

The kernel tells it to others of the same user until pid 1 has reaped the zombie (proc(5), field 52).
"""

import os

from signalbox_agent.proc import Proc, stat


def code_of(proc: Proc) -> int | None:
    """The exit code of a dead process, negative for a signal; None where it is no zombie, or not any more."""
    found = stat(proc.pid)
    if found is None or found.proc != proc or not found.ended:
        return None
    return os.waitstatus_to_exitcode(found.exit_status)
