"""From Celery's callbacks to events: each attempt gets one TaskReceived, one TaskStarted and one final event."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import time
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry

from signalbox_agent.broker.ending import Ending
from signalbox_agent.cancel.canceller import REASON
from signalbox_agent.cancel.prefork.children import Children
from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.child.slot import Slots
from signalbox_agent.hooks.redelivered import first_of
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks import events
from signalbox_agent.tasks.events import Event
from signalbox_agent.tasks.runs import Run, Runs, run_key
from signalbox_agent.tasks.texts import clean, error_of, lost

#: What a child that dies under its task is reported as; a kill that is under way has its own account of it.
DEATHS = (Terminated, WorkerLostError, SystemExit, TimeLimitExceeded)
#: What a failure with one of these is called; all others are errors.
OUTCOMES = {
    Reject: "rejected",
    TimeLimitExceeded: "time_limit",
    SoftTimeLimitExceeded: "time_limit",
    SystemExit: "worker_lost",
}


def exception_of(einfo: Any) -> Any:
    """What the task raised."""
    return compat.unwrapped(einfo.exception)


def _greenlet_was_killed(outcome: tuple[Any, Any, float | None]) -> bool:
    """How Celery words that a greenlet was killed."""
    failed, _, runtime = outcome
    return failed is False and runtime is None


class Tracker:
    """Hears of every request of this worker; its methods are called by `requests.Watched`."""

    def __init__(
        self,
        instance: str,
        node: str,
        runs: Runs,
        link: Link,
        loop: Loop,
        queue_of: Callable[[Any], str],
        slots: Slots,
    ) -> None:
        """`node` is the worker's name; `queue_of` names the queue that a request came from."""
        self._instance = instance
        self._node = node
        self._runs = runs
        self._link = link
        self._lock = loop.lock
        self._queue_of = queue_of
        self._slots = slots
        self.ending = Ending()
        #: Whether tasks share the worker's process.
        self.shared = False
        #: Whether what was cancelled is refused here; Celery may lack what that needs.
        self.can_refuse = True
        #: The pool's processes, where their deaths are noticed.
        self.children: Children | None = None
        #: Told of every start.
        self.on_started: Callable[[Run], None] = lambda _: None
        #: Asked whether the controller has brought about the death of its child.
        self.on_death: Callable[[Run], bool] = lambda _: False
        #: Told of every end that somebody has asked for before the start.
        self.on_unstarted: Callable[[Run], None] = lambda _: None
        #: Told of every turn that comes to a task which is refused here.
        self.on_refused: Callable[[Run], None] = lambda _: None
        #: Calls back when what runs a task is dead; in pools where that cannot be seen, at once.
        self.when_dead: Callable[[Run, Callable[[], None]], None] = lambda _, callback: callback()

    def run_of(self, request: Any) -> Run:
        """The run that belongs to a request."""
        run: Run | None = request._signalbox  # our own mark
        if run is None:
            run = request._signalbox = self._open(request)
        return run

    def _open(self, request: Any) -> Run:
        headers = request.request_dict
        celery_name = clean(request.type)
        name = clean(headers.get("shadow") or celery_name.rpartition(".")[2])
        run = Run(request, clean(request.id), celery_name, name, int(headers.get("retries") or 0))
        run.describe(self._node, self._queue_of(request), clean(request.argsrepr), clean(request.kwargsrepr))
        run.late = bool(request.task.acks_late)
        if request.delivery_info.get("redelivered"):
            run.first = first_of(self._runs.of(run.task_id), run.retries)
            if run.first is not None:
                run.first.twins.append(run)
            # It may have been started before; this wait is later than that start.
            run.key = run_key(run.retries, time())
        self._runs.add(run)
        return run

    # The steps of a life

    @guarded
    def received(self, request: Any) -> None:
        """The worker took it from its queue."""
        with self._lock:
            run = self.run_of(request)
            if not run.told and run.first is None:
                run.told = True
                self._link.event(events.received(run, request.eta, request.root_id, request.parent_id))

    @guarded
    def waits_for_another(self, request: Any) -> bool:
        """Whether it must not run, as its task already does, or did when it came."""
        with self._lock:
            return self.run_of(request).first is not None

    @guarded
    def accepted(self, request: Any, pid: int) -> None:
        """A child runs it."""
        if self.shared:
            return
        with self._lock:
            run = self.run_of(request)
            if run.over or (self.children is not None and not self.children.watch(pid)):
                return  # the pool accepts in the parent's name what it is about to refuse
            self._begin(run, request.time_start, pid)

    @guarded
    def refused(self, request: Any, started_at: float) -> bool:
        """Whether it must not start, in pools that cannot give back what waits there; if it may, it has.

        A cancel finds it either before this, and sees to it that it is refused here, or after, as one that runs.
        """
        if not self.shared:
            return False
        with self._lock:
            run = self.run_of(request)
            if compat.is_revoked(request) or self._is_held(run.task_id):  # Celery's mark comes later than ours
                return True
            if not run.over:
                self._begin(run, started_at, os.getpid())
            return False

    def _begin(self, run: Run, started_at: float, pid: int) -> None:
        run.begin(started_at, pid, self._instance)
        self._link.event(events.started(run))
        self.on_started(run)

    @guarded
    def succeeded(self, request: Any, outcome: tuple[Any, Any, float | None]) -> None:
        """It returned; `outcome` is what the pool has told Celery."""
        failed, result, runtime = outcome
        if failed or _greenlet_was_killed(outcome):
            return
        with self._lock:
            run = self.run_of(request)
            self._final(run, events.succeeded(run, result, runtime), "completed")
            if run.killing:
                run.kill.ended("completed")

    @guarded
    def exited(self, request: Any, outcome: tuple[Any, Any, float | None]) -> bool:
        """Whether its greenlet was killed, which Celery takes for a success and must not see."""
        if not _greenlet_was_killed(outcome):
            return False
        with self._lock:
            run = self.run_of(request)
            if run.killing or compat.is_revoked(request):
                return True
            self._final(run, events.failed(run, "revoked", "Its greenlet was killed, but not by Signalbox"), "failed")
            return False

    @guarded
    def timed_out(self, request: Any, seconds: float) -> None:
        """It exceeded its hard time limit; a pool whose tasks share the process says nothing more of it."""
        if not self.shared:
            return
        with self._lock:
            run = self.run_of(request)
            limit = error_of(TimeLimitExceeded(seconds))
            self._at_death(run, lambda: (events.failed(run, "time_limit", limit), "failed"))

    @guarded
    def listen(self, request: Any) -> None:
        """Have what Celery announces from now on noted (by `Watched.send_event`), until `failed`."""
        self.run_of(request).heard = []

    @guarded
    def failed(self, request: Any, einfo: Any) -> None:
        """It raised, or its process is gone; Celery has dealt with it and announced what it made of it."""
        with self._lock:
            run = self.run_of(request)
            heard, run.heard = dict(run.heard or ()), None
            if run.over:
                return
            exception = exception_of(einfo)
            if run.killing:
                self._failed_under_kill(run, self._outcome(run, request, exception, einfo, heard))
            elif isinstance(exception, TimeLimitExceeded):
                self._at_death(run, lambda: self._outcome(run, request, exception, einfo, heard))
            else:
                self._final(run, *self._outcome(run, request, exception, einfo, heard))

    def _failed_under_kill(self, run: Run, outcome: tuple[Event, str | None]) -> None:
        """Its own failure counts if it came first; one that will be tried again is cancelled all the same."""
        event, status = outcome
        if status is None or not self._slots.by_itself(run.pid, run.task_id):
            run.kill.ended("interrupted")
            return
        self._final(run, event, status)
        run.kill.ended(status)

    def _outcome(
        self, run: Run, request: Any, exception: Any, einfo: Any, heard: dict[str, dict[str, Any]]
    ) -> tuple[Event, str | None]:
        """The final event, and how a late cancel is answered; None when the task will go on elsewhere."""
        if "task-succeeded" in heard:  # the process died after the result was stored
            return events.succeeded(run, heard["task-succeeded"].get("result"), None), "completed"
        if heard.get("task-rejected", {}).get("requeue"):
            return events.requeued(run), None
        if isinstance(exception, Retry) or "task-retried" in heard:
            cause = getattr(exception, "exc", None) or exception
            return events.retried(run, error_of(cause), einfo), None
        if isinstance(exception, Ignore):
            return events.succeeded(run, "", None, "ignored"), "completed"
        return self._failure(run, request, exception, einfo)

    def _failure(self, run: Run, request: Any, exception: Any, einfo: Any) -> tuple[Event, str | None]:
        if isinstance(exception, Terminated):
            return self._terminated(run, request)
        if isinstance(exception, WorkerLostError) and self.shared:  # what is lost is the task alone: it raised an exit
            return events.failed(run, "error", error_of(exception), einfo), "failed"
        if isinstance(exception, WorkerLostError):
            return events.failed(run, "worker_lost", lost(run.pid, exception)), "failed"
        outcome = next((name for kind, name in OUTCOMES.items() if isinstance(exception, kind)), "error")
        return events.failed(run, outcome, error_of(exception), einfo), "failed"

    def _terminated(self, run: Run, request: Any) -> tuple[Event, str | None]:
        if run.started_at is None:
            return self._refusal(run), "failed"
        if not compat.is_cancelled(request):
            return events.failed(run, "revoked", "Terminated by a revoke that did not come from Signalbox"), "failed"
        if request.acknowledged:
            return events.failed(run, "stopped", self.ending.error), "failed"
        return events.requeued(run), None

    def _refusal(self, run: Run) -> Event:
        if run.task_id in self._runs.held:
            return events.dropped(run, "cancelled", REASON, self._runs.held.get(run.task_id))
        return events.dropped(run, "revoked", "Revoked, but not by Signalbox")

    @guarded
    def revoked(self, request: Any, *, terminated: bool, expired: bool) -> None:
        """Celery announced it as revoked."""
        with self._lock:
            run = self.run_of(request)
            if run.over or run.killing:
                return
            if terminated:
                # Announced when the signal was sent, which proves nothing yet.
                self._at_death(run, lambda: self._terminated(run, request))
                return
            self.received(request)
            if expired:
                self._final(run, events.dropped(run, "expired", "Expired before it could start"), "failed")
                return
            self._final(run, self._refusal(run), "failed")
            if run.task_id in self._runs.held:
                self._runs.ended[run.task_id] = {"state": "dropped", "detail": "It will not run"}

    @guarded
    def turns_away(self, request: Any) -> bool:
        """Whether it is to be dropped now that its turn has come, or was dropped while it waited.

        Of one that came twice nothing is told: its first may still be alive.
        """
        with self._lock:
            run = self.run_of(request)
            if run.first is not None:
                return True
            if not run.over and self._is_held(run.task_id):
                self.on_refused(run)
            return run.over

    @guarded
    def announced(self, request: Any) -> bool:
        """Whether Celery has announced it as revoked."""
        return compat.is_revoked(request)

    @guarded
    def refuses(self, request: Any) -> bool:
        """Whether it was cancelled: Celery forgets what was revoked after a while, and with the worker."""
        return self._is_held(clean(request.id))

    @guarded
    def refuse(self, request: Any) -> bool:
        """Announce it as revoked if it was cancelled; answer whether it was."""
        if not self.refuses(request):
            return False
        compat.announce_refused(request)
        return True

    def _is_held(self, task_id: str) -> bool:
        return self.can_refuse and task_id in self._runs.held

    # Ends

    def _final(self, run: Run, event: Event, status: str | None) -> None:
        if run.over:
            return
        run.over = True
        self._runs.remove(run, again=status is None)
        if status is not None:
            self._runs.ended[run.task_id] = {"state": "finished", "status": status}
        self._link.event(event)
        if run.wanted:
            self.on_unstarted(run)

    def _at_death(self, run: Run, outcome: Callable[[], tuple[Event, str | None]]) -> None:
        """Its process has been signalled: the end is told when it is true."""

        def end() -> None:
            if not run.over and not run.killing:
                self._final(run, *outcome())

        if run.started_at is None:
            end()
        else:
            self.when_dead(run, end)

    @guarded
    def swallows(self, request: Any, einfo: Any) -> bool:
        """Whether the failure is the death that a kill is about to bring, and nothing that Celery must act upon."""
        with self._lock:
            run = self.run_of(request)
            if not isinstance(exception_of(einfo), DEATHS):
                return False
            if not run.killing:
                return self.on_death(run)
            run.kill.look()
            return True

    @guarded
    def killing(self, request: Any) -> bool:
        """Whether a kill is under way."""
        return self.run_of(request).killing
