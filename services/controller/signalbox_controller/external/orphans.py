"""The pool children that a dead guest has left: nobody is to be told that their tasks are lost while they live.

The kernel kills them with their parent (PR_SET_PDEATHSIG, in celery/concurrency/prefork.py), unless a task undid that.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from signalbox.messages.base import utc_now
from signalbox_controller.agents.running import Run
from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import TICKS, Proc

#: Seconds by which the clocks of a task's start and of a process' may differ.
SLACK = 0.5


def orphans_of(main: Proc, runs: Iterable[Run]) -> Callable[[], list[Proc]]:
    """Finds those of the processes that ran these tasks which are still there, now that `main` is dead."""
    found = {child for run in runs if (child := _child(run)) is not None} - {main}
    return lambda: [child for child in found if procfs.alive(child)]


def _child(run: Run) -> Proc | None:
    """The process that ran it: whoever has its pid, and was there before the task began."""
    child = procfs.identify(run.pid)
    known = child is not None and run.started_at is not None and child.started <= _ticks_at(run.started_at)
    return child if known else None


def _ticks_at(moment: datetime) -> float:
    """A time of the clock on the wall, on the scale of start times."""
    return procfs.ticks_now() - ((utc_now() - moment).total_seconds() - SLACK) * TICKS
