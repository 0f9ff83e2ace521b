"""Orphans of a dead external worker, its pool children: while they live, their tasks are not reported as lost.

The kernel kills them with their parent (PR_SET_PDEATHSIG, in celery/concurrency/prefork.py), unless a task undid that.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from signalbox.messages.base import utc_now
from signalbox_agent.proc import Proc, ended, identify
from signalbox_controller.agents.running import Run
from signalbox_controller.linux.procfs import TICKS, ticks_now

#: Seconds by which the clocks of a task's start and of a process' may differ.
SLACK = 0.5


def orphans_of(main: Proc, runs: Iterable[Run]) -> Callable[[], list[Proc]]:
    """Return a look-up of the processes that ran these tasks and outlive `main`, which is dead."""
    found = {child for run in runs if (child := _child(run)) is not None} - {main}
    return lambda: [child for child in found if not ended(child)]


def _child(run: Run) -> Proc | None:
    """The process that ran it: it has the pid of the run, and was started before the task."""
    child = identify(run.pid)
    same = child is not None and run.started_at is not None and child.started <= _ticks_at(run.started_at)
    return child if same else None


def _ticks_at(moment: datetime) -> float:
    """A wall-clock time on the scale of process start times."""
    return ticks_now() - ((utc_now() - moment).total_seconds() - SLACK) * TICKS
