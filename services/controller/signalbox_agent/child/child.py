"""The task of a pool child, marked in the child's environment and in its slot.

The environment tells the task of a process that leaves its family (two forks, and the parent exits): nothing else finds
it. The slot tells which task a child runs, and how the body of the latest one ended.
"""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from signalbox_agent.child.own_cgroup import OwnCgroup
from signalbox_agent.child.slot import INTERRUPTED, OVER, RUNNING, UNWOUND, Slot
from signalbox_agent.child.term import TermHandler
from signalbox_agent.safety import guarded

VARIABLE = "SIGNALBOX_TASK_ID"
#: Where children that inherit nothing find the folder of their slots.
SLOTS = "SIGNALBOX_SLOTS"
#: Where they find the path of the cgroup of their worker.
CGROUP = "SIGNALBOX_CGROUP"


class CurrentTask:
    """The task that this process runs; of tasks that a task calls in place, the outermost."""

    def __init__(self, slot: Slot, cgroup: OwnCgroup) -> None:
        self._slot = slot
        self._cgroup = cgroup
        self._depth = 0
        self._task_id = ""
        self._interrupted = False
        self._term = TermHandler(self._spared, self._reached)

    @guarded
    def install(self, hostname: str) -> None:
        """Follow the tasks of this process; `hostname` is the name of its worker."""
        signals.task_prerun.connect(self._begin, weak=False)
        signals.task_postrun.connect(self._end, weak=False)
        self._term.install(hostname)

    @guarded
    def _begin(self, task_id: str, task: Any, **_: Any) -> None:
        if self._depth == 0:
            self._term.await_body(task)
            os.environ[VARIABLE] = self._task_id = task_id
            self._interrupted = False
            self._cgroup.begin()
            self._slot.write(RUNNING, task_id)
        self._depth += 1

    @guarded
    def _end(self, state: str | None = None, **_: Any) -> None:
        """Celery knows no state when something unwound the task that is no error."""
        self._depth -= 1
        if self._depth == 0:
            os.environ.pop(VARIABLE, None)
            if not state or not self._by_itself(state):  # what it has started is to be ended with it
                self._slot.write(UNWOUND, self._task_id)
                return
            if left := self._cgroup.end():
                self._slot.note_left(left, self._task_id)
            self._slot.write(state, self._task_id)

    def _by_itself(self, state: str) -> bool:
        """Whether no TERM has made its end what it is; a handler of the user's hides that from us."""
        return state == "SUCCESS" or (self._term.in_place and not self._interrupted)

    # Called by the TERM handler

    def _spared(self) -> None:
        """A TERM came after the body."""
        self._slot.write(OVER, self._task_id)

    def _reached(self) -> None:
        """A TERM has reached the body."""
        self._interrupted = True
        if self._depth:
            self._slot.write(INTERRUPTED, self._task_id)


def install(parent: int | None, slots: str, cgroup: str) -> None:
    """Follow the tasks of every process but `parent`, where several may run at once.

    Args:
        parent: the worker's pid, where this is the worker.
        slots: the folder of the slots.
        cgroup: the path of the worker's cgroup; empty when it has none.
    """

    @guarded
    def begin(sender: str, **_: Any) -> None:
        if os.getpid() != parent:
            CurrentTask(Slot(slots), OwnCgroup(cgroup)).install(sender)

    signals.worker_process_init.connect(begin, weak=False)
