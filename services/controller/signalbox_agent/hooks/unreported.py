"""Ends that a child wrote in its slot and that Celery never reports, looked for in rounds.

Celery reads nothing from its children while its broker is away, and forgets jobs of its pool when it loses it: the
child has ended the task, its result is stored, and the worker does not know. An end counts as unreported when a whole
round has passed since it was first seen: in between, Celery's loop has turned and read what the child had sent.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time

from signalbox_agent.child.slot import Slots, SlotState
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run, Runs

#: Seconds between two rounds. A round reads a file of each child whose task has run for longer.
EVERY = 1.0


class UnreportedEnds:
    """The rounds of one worker."""

    def __init__(self, runs: Runs, slots: Slots, loop: Loop, tell: Callable[[Run, SlotState], None]) -> None:
        """`tell` is called once for each run that ended unreported."""
        self._runs = runs
        self._slots = slots
        self._loop = loop
        self._tell = tell
        self._seen: set[Run] = set()

    def start(self) -> None:
        """Begin with the rounds; they go on for as long as the worker lives."""
        self._loop.call_later(EVERY, self._round)

    def _round(self) -> None:
        self._loop.call_later(EVERY, self._round)
        self._look()

    @guarded
    def _look(self) -> None:
        seen, self._seen = self._seen, set()
        for run in self._runs.all():
            state = self._ended(run)
            if state is None:
                continue
            if run in seen:
                self._tell(run, state)
            else:
                self._seen.add(run)

    def _ended(self, run: Run) -> SlotState | None:
        if run.started_at is None or run.pid is None or run.over or run.killing or time() - run.started_at < EVERY:
            return None
        state = self._slots.find(run.pid, run.task_id, run.retries, run.started_at)
        return state if state is not None and state.stored else None
