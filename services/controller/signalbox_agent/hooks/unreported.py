"""Runs of which Celery does not report that they began or ended, looked for in rounds in the slots of the children.

Celery reads nothing from its children while its broker is away. When it loses the broker it forgets what it has handed
to a child that has not accepted it: the child runs that all the same. A finding counts when a whole round has passed
since it was first seen: in between, Celery's loop has turned and read what the child had sent. What was seen stays so,
also when the child has begun others since; so what was forgotten is looked for whenever its child may have ended it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from time import time
from typing import Protocol

from signalbox_agent.celery_compat.requests import is_handed_over, job_of
from signalbox_agent.child.slot import Slots, SlotState
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run, Runs

#: Seconds between two rounds. A round reads a file of each child whose task has run for longer.
EVERY = 1.0
#: Rounds that a child may take to begin what Celery has handed to it and forgotten.
BEGINS_WITHIN = 10


class Reporter(Protocol):
    """Takes what was found, once."""

    def began_unreported(self, run: Run, pid: int, state: SlotState) -> None:
        """A child has begun it, and Celery does not know."""

    def ended_unreported(self, run: Run, state: SlotState) -> None:
        """Its child has ended it, and Celery does not know."""


class UnreportedRuns:
    """The rounds of one worker."""

    def __init__(self, runs: Runs, slots: Slots, loop: Loop, reporter: Reporter) -> None:
        self._runs = runs
        self._slots = slots
        self._loop = loop
        self._reporter = reporter
        #: The rounds in which a run was found, one after the other.
        self._rounds: dict[Run, int] = {}
        #: The child and the latest state of a run, while they are of interest.
        self._seen: dict[Run, tuple[int, SlotState]] = {}
        #: The runs that Celery has forgotten while a child had them, or was about to.
        self._forgotten: list[Run] = []

    def start(self) -> None:
        """Begin with the rounds; they go on for as long as the worker lives."""
        self._loop.call_later(EVERY, self._round)

    def _round(self) -> None:
        self._loop.call_later(EVERY, self._round)
        self.look()

    def broker_lost(self) -> None:
        """Celery forgets now what it has handed over and no child has accepted."""
        runs = self._runs.all()
        self._forgotten = [run for run in runs if run.started_at is None and is_handed_over(run.request)]

    @guarded
    def accepted(self, pid: int) -> None:
        """A child has begun a task: what it ran before that is over, and still in its slot."""
        for run in self._forgotten:
            self._see(run, pid, run.taken_at)

    def _see(self, run: Run, pid: int, since: float) -> SlotState | None:
        """The state of a run, as its child wrote it or as it was seen before."""
        state = self._slots.find(pid, run.task_id, run.retries, since)
        if state is not None:
            self._seen[run] = pid, state
        return self._seen[run][1] if run in self._seen else None

    @guarded
    def look(self) -> None:
        """Take one round."""
        found: dict[Run, Callable[[], None]] = {}
        written = cache(self._slots.all)
        for run in self._runs.all():
            act = self._ended(run) if run.started_at is not None else self._begun(run, written)
            if act is not None:
                found[run] = act
        self._rounds = {run: self._rounds.get(run, 0) + 1 for run in found}
        self._seen = {run: seen for run, seen in self._seen.items() if run in found}
        self._forgotten = [run for run in self._forgotten if run in found and run.started_at is None]
        for run, act in found.items():
            if self._rounds[run] > 1:
                act()

    def _ended(self, run: Run) -> Callable[[], None] | None:
        """What to do about one that runs, if its child has ended it."""
        if run.started_at is None or run.over or run.killing or time() - run.started_at < EVERY:
            return None
        state = self._see(run, run.pid or 0, run.started_at)
        if state is not None:
            return partial(self._reporter.ended_unreported, run, state) if state.stored else None
        if run.together:
            return None  # in a job of a strategy of its own, which may call others in place
        return partial(self._runs.remove, run) if self._slots.went_on(run.pid or 0, run.started_at) else None

    def _begun(self, run: Run, written: Callable[[], dict[int, list[SlotState]]]) -> Callable[[], None] | None:
        """What to do about one that was handed to a child, and not accepted."""
        if run.original is not None or not is_handed_over(run.request):
            return None
        for pid in written():
            self._see(run, pid, run.taken_at)
        if not self._rounds.get(run):
            return _nothing
        if run in self._seen:
            return partial(self._report, run, *self._seen[run])
        given_up = job_of(run.request) is None and self._rounds[run] >= BEGINS_WITHIN
        return partial(self._runs.remove, run) if given_up else _nothing

    def _report(self, run: Run, pid: int, state: SlotState) -> None:
        """Report that it began, and its end where that was seen as well."""
        self._reporter.began_unreported(run, pid, state)
        if state.stored:
            self._reporter.ended_unreported(run, state)


def _nothing() -> None:
    """Look again."""
