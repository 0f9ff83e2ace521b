"""The task of a pool child, marked in the child's environment and in its slot.

The environment tells the task of a process that leaves its family (two forks, and the parent exits): nothing else finds
it. The slot tells which task a child runs, and how the latest one ended.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import signals

from signalbox_agent.child.bodies import Bodies
from signalbox_agent.child.own_cgroup import OwnCgroup
from signalbox_agent.child.slot import Slot
from signalbox_agent.child.slot_state import INTERRUPTED, OVER, REQUEUED, UNWOUND
from signalbox_agent.child.term import TermHandler
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.ids import key_of
from signalbox_agent.tasks.texts import error_of, traceback_of

VARIABLE = "SIGNALBOX_TASK_ID"
#: Where children that inherit nothing find the folder of their slots.
SLOTS = "SIGNALBOX_SLOTS"
#: Where they find the path of the cgroup of their worker.
CGROUP = "SIGNALBOX_CGROUP"


class CurrentTask:
    """The task that this process runs; of tasks that a task calls in place, the outermost."""

    def __init__(self, slot: Slot, cgroup: OwnCgroup, bodies: Bodies) -> None:
        self._slot = slot
        self._cgroup = cgroup
        self._bodies = bodies
        self._depth = 0
        self._interrupted = False
        self._traceback = ""
        self._term = TermHandler(bodies, self._spared, self._reached)

    @guarded
    def install(self) -> None:
        """Follow the tasks of this process."""
        signals.task_prerun.connect(self._begin, weak=False)
        signals.task_postrun.connect(self._end, weak=False)
        signals.task_failure.connect(self._failed, weak=False)
        signals.task_retry.connect(self._failed, weak=False)
        self._term.install()

    @guarded
    def _begin(self, task_id: str, task: Any, **_: Any) -> None:
        if self._depth == 0:
            self._bodies.awaited = task
            key = key_of(task_id)
            os.environ[VARIABLE] = key
            self._interrupted, self._traceback = False, ""
            self._cgroup.begin()
            self._slot.begin(key, task.request.retries or 0, task.name, acks_late=bool(task.acks_late))
        self._depth += 1

    @guarded
    def _end(self, task: Any = None, state: str | None = None, retval: Any = None, **_: Any) -> None:
        """Celery knows no state when something unwound the task that is no error.

        It sends this signal while an error unwinds its tracer, too: the result backend has refused the result, and the
        state is not that of the end (`build_tracer`).
        """
        self._depth -= 1
        if self._depth:
            return
        os.environ.pop(VARIABLE, None)
        if not state or not self._by_itself(state):  # what it has started is to be ended with it
            self._slot.write(UNWOUND)
            return
        if left := self._cgroup.end():
            self._slot.note_left(left)
        if sys.exc_info()[0] is not None:
            self._slot.write(OVER)
        elif state == "SUCCESS":
            self._slot.write(state, ended=True)
        else:
            self._slot.write(_word(state, retval, task), _error(state, retval), self._traceback, ended=True)

    def _by_itself(self, state: str) -> bool:
        """Whether no TERM has made its end what it is; a handler of the user's hides that from us."""
        return state == "SUCCESS" or (self._term.in_place and not self._interrupted)

    @guarded
    def _failed(self, einfo: Any = None, **_: Any) -> None:
        """It has raised, and Celery has put its traceback into words."""
        if self._depth == 1:
            self._traceback = traceback_of(einfo)

    # Called by the TERM handler

    def _spared(self) -> None:
        """A TERM came after the body."""
        self._slot.write(OVER)

    def _reached(self) -> None:
        """A TERM has reached the body."""
        self._interrupted = True
        if self._depth:
            self._slot.write(INTERRUPTED)


def _word(state: str, retval: Any, task: Any) -> str:
    """The word for a state: what was acknowledged when it began cannot be given back."""
    gives_back = state == "REJECTED" and getattr(retval, "requeue", False) and getattr(task, "acks_late", False)
    return REQUEUED if gives_back else state


def _error(state: str, retval: Any) -> str:
    """The error of what did not return; of a retry its cause."""
    cause = getattr(retval, "exc", None) if state == "RETRY" else None
    return error_of(cause or retval)


def install(parent: int | None, slots: str, cgroup: str, bodies: Bodies) -> None:
    """Follow the tasks of every process but `parent`, where several may run at once.

    Args:
        parent: the worker's pid, where this is the worker.
        slots: the folder of the slots.
        cgroup: the path of the worker's cgroup; empty when it has none.
        bodies: the marks of all tasks.
    """

    @guarded
    def begin(**_: Any) -> None:
        if os.getpid() != parent:
            CurrentTask(Slot(slots), OwnCgroup(cgroup), bodies).install()

    signals.worker_process_init.connect(begin, weak=False)
