"""In the pool's children: whatever a task launches can be recognised by its environment.

A process that leaves its family (two forks, and the parent exits) is found by nothing else.
"""

from __future__ import annotations

import os
from typing import Any

from celery import signals

from signalbox_agent.safety import guarded

VARIABLE = "SIGNALBOX_TASK_ID"


class Label:
    """Puts the id of the running task into the environment; of tasks that a task calls in place, the outermost."""

    def __init__(self) -> None:
        self._depth = 0

    @guarded
    def on(self, task_id: str, **_: Any) -> None:
        """A task begins."""
        if self._depth == 0:
            os.environ[VARIABLE] = task_id
        self._depth += 1

    @guarded
    def off(self, **_: Any) -> None:
        """A task has ended."""
        self._depth -= 1
        if self._depth == 0:
            os.environ.pop(VARIABLE, None)


def install(parent: int | None) -> None:
    """Label tasks in every process but `parent`, where several of them may run at once."""
    label = Label()

    @guarded
    def begin(**_: Any) -> None:
        if os.getpid() != parent:
            signals.task_prerun.connect(label.on, weak=False)
            signals.task_postrun.connect(label.off, weak=False)

    signals.worker_process_init.connect(begin, weak=False)
