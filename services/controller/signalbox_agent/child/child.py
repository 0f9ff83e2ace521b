"""In the pool's children: what a task launches can be recognised, and what a child does can be seen from outside.

The environment tells whose a process is that leaves its family (two forks, and the parent exits): it is found by
nothing else. The slot tells which task a child runs, and how the body of the last one ended.
"""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from signalbox_agent.child.slot import INTERRUPTED, OVER, RUNNING, UNWOUND, Slot
from signalbox_agent.safety import guarded

VARIABLE = "SIGNALBOX_TASK_ID"
#: Where children that inherit nothing find the folder of their slots.
SLOTS = "SIGNALBOX_SLOTS"


class Label:
    """The task that this process runs; of tasks that a task calls in place, the outermost."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._depth = 0
        self._task_id = ""
        self._interrupted = False
        self._term: Any = None
        self._watches = False

    @guarded
    def on(self, task_id: str, **_: Any) -> None:
        """A task begins."""
        if self._depth == 0:
            os.environ[VARIABLE] = self._task_id = task_id
            self._interrupted = False
            self._slot.say(RUNNING, task_id)
            if not self._watches:  # billiard sets its handlers after `worker_process_init`
                self._watches = True
                self._watch_for_term()
        self._depth += 1

    @guarded
    def _watch_for_term(self) -> None:
        from signalbox_agent.child.term import Term

        self._term = Term(self)
        self._term.install()

    @guarded
    def off(self, state: str | None = None, **_: Any) -> None:
        """A task has ended; without a state when something unwound it that is no error."""
        self._depth -= 1
        if self._depth == 0:
            os.environ.pop(VARIABLE, None)
            self._slot.say(state if state and self._by_itself(state) else UNWOUND, self._task_id)

    def _by_itself(self, state: str) -> bool:
        """Whether no TERM has made its end what it is; with a handler of the user's in place, who knows."""
        unharmed = not self._interrupted and self._term is not None and self._term.in_place
        return state == "SUCCESS" or unharmed

    # What `Term` asks and tells

    def ended(self, task_id: object) -> bool:
        """Whether this task is the latest one, and over."""
        return self._depth == 0 and self._task_id == task_id

    def spared(self) -> None:
        """A TERM came after the body."""
        self._slot.say(OVER, self._task_id)

    def reached(self) -> None:
        """A TERM has reached the body."""
        self._interrupted = True
        if self._depth:
            self._slot.say(INTERRUPTED, self._task_id)


def install(parent: int | None, slots: str) -> None:
    """Label tasks in every process but `parent`, where several of them may run at once; `slots` is a folder."""

    @guarded
    def begin(**_: Any) -> None:
        if os.getpid() != parent:
            label = Label(Slot(slots))
            signals.task_prerun.connect(label.on, weak=False)
            signals.task_postrun.connect(label.off, weak=False)

    signals.worker_process_init.connect(begin, weak=False)
