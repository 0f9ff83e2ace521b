"""Runs of which Celery does not report that they began or ended, looked for in rounds in the slots of the children.

Celery reads nothing from its children while its broker is away. When it loses the broker it forgets what it has handed
to a child that has not accepted it: the child runs that all the same. A finding counts when a whole round has passed
since it was first seen: in between, Celery's loop has turned and read what the child had sent. What was seen stays so,
also when the child has begun others since; so what was forgotten is looked for whenever its child may have ended it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from time import time
from typing import Protocol

from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat.requests import is_handed_over, job_of
from signalbox_agent.child.slot_state import SlotState, find
from signalbox_agent.child.slots import Slots
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run, Runs

#: Seconds between two rounds. A round reads a file of each child whose task has run for longer.
EVERY = 1.0
#: Rounds that a child which has read all that it was sent may take to begin what Celery has forgotten.
BEGINS_WITHIN = 10


class Reporter(Protocol):
    """Takes what was found, once."""

    def began_unreported(self, run: Run, pid: int, state: SlotState) -> None:
        """A child has begun it, and Celery does not know."""

    def ended_unreported(self, run: Run, state: SlotState) -> None:
        """Its child has ended it, and Celery does not know."""


class UnreportedRuns:
    """The rounds of one worker."""

    def __init__(self, runs: Runs, pool: PoolControl, slots: Slots, loop: Loop, reporter: Reporter) -> None:
        self._runs = runs
        self._pool = pool
        self._slots = slots
        self._loop = loop
        self._reporter = reporter
        #: The rounds in which a run was found, one after the other.
        self._rounds: dict[Run, int] = {}
        #: The child and the latest state of a run, while they are of interest.
        self._seen: dict[Run, tuple[int, SlotState]] = {}
        #: Whose the states in the slots are, by child and number: an id may have been handed over several times.
        self._owners: dict[tuple[int, int], Run] = {}
        #: The runs that Celery has forgotten while a child had them, or was about to.
        self._forgotten: list[Run] = []
        #: The rounds in which no child had anything unread in its pipe, one after the other.
        self._read_rounds = 0
        #: The latest run that each child has begun.
        self._begun_in: dict[int, Run] = {}

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

    def is_searching(self) -> bool:
        """Whether it looks for runs that Celery has forgotten, in what each child begins."""
        return bool(self._forgotten)

    @guarded
    def accepted(self, pid: int, run: Run) -> None:
        """A child has begun this run: what it ran before that is over, and still in its slot."""
        if self._forgotten and run.started_at is not None:
            self._see(run, pid, run.started_at)
        for other in self._forgotten:
            self._see(other, pid, other.taken_at)
        previous, self._begun_in[pid] = self._begun_in.get(pid), run
        if previous is not None and not previous.over and previous.started_at is not None:
            self._see(previous, pid, previous.started_at)

    def _see(self, run: Run, pid: int, since: float) -> SlotState | None:
        """The state of a run, as its child has it in its slot, unless that is another run's; it is remembered."""
        mine = [one for one in self._slots.of_child(pid) if self._owners.get((pid, one.number), run) is run]
        state = find(mine, run.task_id, run.retries, since)
        if state is not None:
            self._owners[pid, state.number] = run
            self._seen[run] = pid, state
        return state

    @guarded
    def look(self) -> None:
        """Take one round."""
        found: dict[Run, Callable[[], None]] = {}
        written = cache(self._slots.all)
        self._read_rounds = 0 if self._pool.has_unread() else self._read_rounds + 1
        runs = self._runs.all()
        if any(run.started_at is None and is_handed_over(run.request) for run in runs):
            self._see_all_of(runs)
        for run in runs:
            act = self._ended(run) if run.started_at is not None else self._begun(run, written)
            if act is not None:
                found[run] = act
        self._rounds = {run: self._rounds.get(run, 0) + 1 for run in found}
        self._forget(written)
        self._forgotten = [run for run in self._forgotten if run in found and run.started_at is None]
        for run, act in found.items():
            if self._rounds[run] > 1:
                act()

    def _see_all_of(self, runs: Iterable[Run]) -> None:
        """See those that Celery has reported first: what they own is not that of a run that it has forgotten."""
        for run in runs:
            if run.started_at is not None and not run.over:
                self._see(run, run.pid or 0, run.started_at)

    def _forget(self, written: Callable[[], dict[int, list[SlotState]]]) -> None:
        """Forget the runs that are over, and whose states have left the slots."""
        self._seen = {run: seen for run, seen in self._seen.items() if run.request is not None}
        self._begun_in = {pid: run for pid, run in self._begun_in.items() if not run.over}
        if self._owners:
            shown = {(pid, state.number) for pid, states in written().items() for state in states}
            self._owners = {place: run for place, run in self._owners.items() if place in shown}

    def _ended(self, run: Run) -> Callable[[], None] | None:
        """What to do about one that runs, if its child has ended it."""
        if run.started_at is None or run.over or run.killing or time() - run.started_at < EVERY:
            return None
        is_shown = self._see(run, run.pid or 0, run.started_at) is not None
        if run in self._seen and (state := self._seen[run][1]).stored:
            return partial(self._reporter.ended_unreported, run, state)
        if is_shown or run.together:  # in a job of a strategy of its own, which may call others in place
            return None
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
        waited = min(self._rounds[run], self._read_rounds)
        given_up = job_of(run.request) is None and waited >= BEGINS_WITHIN
        return partial(self._runs.remove, run) if given_up else _nothing

    def _report(self, run: Run, pid: int, state: SlotState) -> None:
        """Report that it began, and its end where that was seen as well."""
        self._reporter.began_unreported(run, pid, state)
        if state.stored:
            self._reporter.ended_unreported(run, state)


def _nothing() -> None:
    """Look again."""
