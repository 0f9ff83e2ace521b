"""Tracker of a worker's requests: turns Celery's callbacks into TaskReceived, TaskStarted and one final event."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from billiard.exceptions import Terminated, TimeLimitExceeded

from signalbox_agent.broker.ending import Ending, is_done
from signalbox_agent.cancel.canceller import Canceller
from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.cancel.results import ResultWriter
from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.celery_compat.worker import has_own_strategy
from signalbox_agent.child.slot_state import SlotState
from signalbox_agent.child.slots import Slots
from signalbox_agent.hooks.outcomes import DEATHS, Outcome, Outcomes, outcome_of
from signalbox_agent.hooks.progress import Notes
from signalbox_agent.hooks.request_runs import RequestRuns
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events
from signalbox_agent.tasks.events import Event
from signalbox_agent.tasks.ids import key_of
from signalbox_agent.tasks.runs import Run, Runs
from signalbox_agent.tasks.texts import error_of

#: The error of a task that Celery rejected before it ran.
GIVEN_UP = "The worker threw it away before it could start; its log says why"


def _greenlet_was_killed(outcome: tuple[Any, Any, float | None]) -> bool:
    """Whether this is the outcome that Celery gives to a killed greenlet."""
    failed, _, runtime = outcome
    return failed is False and runtime is None


@dataclass(kw_only=True, eq=False)
class Tracker:
    """Follows every request of this worker; its methods are called by `requests.TrackedRequest`."""

    runs: Runs
    requests: RequestRuns
    link: Link
    loop: Loop
    slots: Slots
    pool: PoolControl
    notes: Notes
    canceller: Canceller
    ending: Ending
    results: ResultWriter
    instance: str
    #: Whether tasks share the worker's process.
    shared: bool
    #: Whether this Celery has what a refusal of cancelled tasks needs.
    can_refuse: bool

    def __post_init__(self) -> None:
        self._outcomes = Outcomes(self.runs, self.ending, shared=self.shared)
        #: Called with the pid of a child that has accepted a task, and the run.
        self.on_accepted: Callable[[int, Run], object] = lambda *_: None

    # The steps of a task

    @guarded
    def received(self, request: Any) -> None:
        """The worker took it from its queue."""
        with self.loop.lock:
            run = self.requests.of(request)
            if not run.received and run.original is None:
                run.received, run.came_late = True, self.is_held(run.task_id)
                self.link.event(events.received(run, request.eta, request.root_id, request.parent_id))

    @guarded
    def waits_for_another(self, request: Any) -> bool:
        """Whether it must not run, as its task already does, or did when it came."""
        with self.loop.lock:
            return self.requests.of(request).original is not None

    @guarded
    def accepted(self, request: Any, pid: int, started_at: float) -> None:
        """A child runs it since then; Celery has dealt with that, or failed to."""
        if self.shared:
            return
        with self.loop.lock:
            run = self.requests.of(request)
            if run.over or run.started_at is not None or not self.pool.watch(pid):
                return  # the pool accepts in the parent's name what it is about to refuse
            self._begin(run, request.time_start or started_at, pid)
            self.on_accepted(pid, run)

    @guarded
    def refused(self, request: Any, started_at: float) -> bool:
        """Whether it must not start, in pools that cannot give back what waits there; if it may, it has.

        A cancel finds it either before this, and sees to it that it is refused here, or after, as one that runs.
        """
        if not self.shared:
            return False
        with self.loop.lock:
            run = self.requests.of(request)
            if compat.is_revoked(request) or self.is_held(run.task_id):  # Celery's mark comes later than ours
                return True
            if not run.over:
                self._begin(run, started_at, os.getpid())
            return False

    def _begin(self, run: Run, started_at: float, pid: int) -> None:
        self.runs.begin(run, started_at, pid, self.instance)
        started = events.started(run)
        self.link.event(started)
        if not self.shared:
            self.slots.note_start(pid, started)
        self.canceller.accepted(run)

    @guarded
    def succeeded(self, request: Any, outcome: tuple[Any, Any, float | None]) -> None:
        """It returned; `outcome` is that of the pool. Celery has not dealt with it yet, and may fail to."""
        failed, result, runtime = outcome
        if failed or _greenlet_was_killed(outcome):
            return
        with self.loop.lock:
            run = self.requests.of(request)
            self._note_left(run)
            self.end(run, events.succeeded(run, result, runtime), "completed")

    @guarded
    def settled(self, request: Any, outcome: tuple[Any, Any, float | None]) -> None:
        """Celery has dealt with its return, or failed to."""
        with self.loop.lock:
            run = self.requests.of(request)
            if not outcome[0] and run.killing:
                run.kill.ended("completed")

    @guarded
    def exited(self, request: Any, outcome: tuple[Any, Any, float | None]) -> bool:
        """Whether its greenlet was killed, which Celery takes for a success and must not see."""
        if not _greenlet_was_killed(outcome):
            return False
        with self.loop.lock:
            run = self.requests.of(request)
            if run.killing or compat.is_revoked(request):
                return True
            self.end(run, events.failed(run, "revoked", "Its greenlet was killed, but not by Signalbox"), "failed")
            return False

    @guarded
    def timed_out(self, request: Any, seconds: float) -> None:
        """It exceeded its hard time limit; a pool whose tasks share the process says nothing more of it."""
        if not self.shared:
            return
        with self.loop.lock:
            run = self.requests.of(request)
            limit = error_of(TimeLimitExceeded(seconds))
            self._at_death(run, lambda: (events.failed(run, "time_limit", limit), "failed"))

    @guarded
    def failing(self, request: Any, einfo: Any) -> None:
        """It raised, or its process is gone; Celery has not dealt with it yet, and may fail to.

        Where the error does not decide what becomes of it, what Celery announces from now on is noted (by
        `TrackedRequest.send_event`), until `failed`.
        """
        with self.loop.lock:
            run = self.requests.of(request)
            run.announced = []
            outcome = None if run.over or run.killing else self._outcomes.certain(run, request, einfo)
            if outcome is not None:
                self.end(run, *outcome)

    @guarded
    def failed(self, request: Any, einfo: Any) -> None:
        """Celery has dealt with it and announced what it made of it, or failed to."""
        with self.loop.lock:
            run = self.requests.of(request)
            announced, run.announced = dict(run.announced or ()), None
            if run.over:
                return
            self._note_left(run)

            def outcome() -> Outcome:
                return self._outcomes.of(run, request, einfo, announced)

            if run.killing:
                self._failed_under_kill(run, *outcome())
            elif isinstance(compat.exception_of(einfo), TimeLimitExceeded):
                self._at_death(run, outcome)
            else:
                self.end(run, *outcome())

    def _failed_under_kill(self, run: Run, event: Event, status: str | None) -> None:
        """Its own failure counts if it came first; one that will be tried again is cancelled all the same."""
        if status is None or not self.slots.ended_by_itself(run.pid, run.task_id):
            run.kill.ended("interrupted")
            return
        self.end(run, event, status)
        run.kill.ended(status)

    @guarded
    def revoked(self, request: Any, *, terminated: bool, expired: bool) -> None:
        """Celery announced it as revoked."""
        with self.loop.lock:
            run = self.requests.of(request)
            if run.over or run.killing:
                return
            if terminated:
                # Announced when the signal was sent, which proves nothing yet.
                self._at_death(run, lambda: self._outcomes.terminated(run, request))
                return
            self.received(request)
            if expired:
                self.end(run, events.dropped(run, "expired", "Expired before it could start"), "failed")
                return
            self.end(run, self._outcomes.refusal(run), "failed")
            if run.task_id in self.runs.refused:
                self.runs.ended[run.task_id] = {"state": "dropped", "detail": "It will not run"}

    @guarded
    def ends_with_worker(self, request: Any) -> None:
        """Celery has signalled it, as the worker ends by a cold shutdown."""
        run = self.requests.of(request)
        self.ending.apply_to(request, self.results, done=is_done(self.slots, run))

    @guarded
    def fail_chain(self, request: Any, reason: str) -> None:
        """End what follows a cancelled task in its chain."""
        if compat.has_chain(request):
            self.results.put(lambda: compat.fail_chain(request, reason))

    @guarded
    def rejected(self, request: Any) -> None:
        """Celery gave it up; before it ran that happens to one whose time (ETA) it cannot convert."""
        with self.loop.lock:
            run = self.requests.of(request)
            if run.started_at is None and not run.killing:
                self.end(run, events.dropped(run, "rejected", GIVEN_UP), "failed")

    @guarded
    def turns_away(self, request: Any) -> bool:
        """Whether it is to be dropped now that its turn has come, or was dropped while it waited.

        No event is sent of a redelivered one: its first run may still be alive.
        """
        with self.loop.lock:
            run = self.requests.of(request)
            if run.original is not None:
                return True
            if not run.over and self.is_held(run.task_id):
                self.canceller.set_aside(run)
            return run.over

    @guarded
    def refuses(self, request: Any) -> bool:
        """Whether it was cancelled: Celery forgets what was revoked after a while, and with the worker.

        A strategy of its own has taken it by now, and may run it all the same.
        """
        return self.is_held(key_of(request.id)) and not has_own_strategy(request.task)

    @guarded
    def refuse(self, request: Any) -> bool:
        """Announce it as revoked if it was cancelled; answer whether it was."""
        if not self.refuses(request):
            return False
        compat.announce_refused(request)
        return True

    def is_held(self, task_id: str) -> bool:
        """Whether this id is refused here, and can be."""
        return self.can_refuse and task_id in self.runs.refused

    # Ends

    def _note_left(self, run: Run) -> None:
        """Ask its child what the task has left running."""
        if not self.shared:
            run.left_processes = self.slots.left_by(run.pid, run.task_id)

    @guarded
    def began_unreported(self, run: Run, pid: int, state: SlotState) -> None:
        """A child has begun it, and Celery does not know."""
        with self.loop.lock:
            if not run.over and run.started_at is None:
                self.pool.watch(pid)
                self._begin(run, state.began, pid)

    @guarded
    def ended_unreported(self, run: Run, state: SlotState) -> None:
        """Its child has ended it, and Celery does not know."""
        with self.loop.lock:
            if not run.over and not run.killing:
                self.end(run, *outcome_of(run, state))

    def failure(self, run: Run, einfo: Any) -> Outcome:
        """The end of a run in a job that is not its own."""
        exception = compat.exception_of(einfo)
        if isinstance(exception, Terminated):
            return events.failed(run, "worker_lost", f"The process {run.pid} that ran it was terminated"), "failed"
        return self._outcomes.failed(run, exception, einfo)

    def end(self, run: Run, event: Event, status: str | None) -> None:
        """Send its final event, unless that was sent; `status` is None when the task goes on elsewhere."""
        if run.over:
            return
        self.runs.end(run, None if status is None else {"state": "finished", "status": status})
        self.link.event(event)
        if run.pending_cancels:
            self.canceller.unstarted(run)

    def _at_death(self, run: Run, outcome: Callable[[], Outcome]) -> None:
        """Its process has been signalled: the final event is sent when it is dead."""

        def end() -> None:
            if not run.over and not run.killing:
                self.end(run, *outcome())

        if run.started_at is None:
            end()
        else:
            self.pool.when_dead(run, end)

    @guarded
    def swallows(self, request: Any, einfo: Any) -> bool:
        """Whether the failure is the death by a kill, and nothing that Celery must act upon."""
        with self.loop.lock:
            run = self.requests.of(request)
            if not isinstance(compat.exception_of(einfo), DEATHS):
                return False
            if not run.killing:
                return self.canceller.ended_outside(run)
            run.kill.look()
            return True

    @guarded
    def killing(self, request: Any) -> bool:
        """Whether a kill is under way."""
        return self.requests.of(request).killing
