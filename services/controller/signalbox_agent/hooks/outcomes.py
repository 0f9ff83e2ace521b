"""The outcome of a task that did not simply return: its final event, from the error that billiard and Celery report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry

from signalbox_agent.broker.ending import Ending
from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.child.slot_state import REQUEUED, SlotState
from signalbox_agent.tasks import events
from signalbox_agent.tasks.events import Event
from signalbox_agent.tasks.runs import Run, Runs
from signalbox_agent.tasks.texts import error_of, lost, refused

#: The final event, and the status with which a late cancel is answered; None when the task goes on elsewhere.
Outcome = tuple[Event, str | None]

#: The errors with which a child that dies is reported; a kill that is under way reports the death itself.
DEATHS = (Terminated, WorkerLostError, SystemExit, TimeLimitExceeded)
#: The same, and an exit that the task itself has raised.
ENDS_OF_PROCESSES = (*DEATHS, KeyboardInterrupt)
#: The outcomes of a failure with one of these; all others are errors.
OUTCOMES = {
    Reject: "rejected",
    TimeLimitExceeded: "time_limit",
    SoftTimeLimitExceeded: "time_limit",
    SystemExit: "worker_lost",
}


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of one worker's tasks."""

    runs: Runs
    ending: Ending
    #: Whether tasks share the worker's process.
    shared: bool

    def certain(self, run: Run, request: Any, einfo: Any) -> Outcome | None:
        """The outcome of a failure as its error alone decides it, before Celery has dealt with it.

        None for the death of a process: what becomes of the task then is for Celery to find out.
        """
        exception = compat.exception_of(einfo)
        if isinstance(exception, Retry):
            return events.retried(run, error_of(getattr(exception, "exc", None) or exception), einfo), None
        if isinstance(exception, Reject) and exception.requeue and not request.acknowledged:
            return events.requeued(run), None
        if isinstance(exception, Ignore):
            return events.succeeded(run, "", None, "ignored"), "completed"
        return None if isinstance(exception, ENDS_OF_PROCESSES) else self.failed(run, exception, einfo)

    def of(self, run: Run, request: Any, einfo: Any, announced: dict[str, dict[str, Any]]) -> Outcome:
        """The outcome of a failure; `announced` are the events that Celery has sent of it, by type."""
        exception = compat.exception_of(einfo)
        if "task-succeeded" in announced:  # the process died after the result was stored
            return events.succeeded(run, announced["task-succeeded"].get("result"), None), "completed"
        if announced.get("task-rejected", {}).get("requeue"):
            return events.requeued(run), None
        if "task-retried" in announced:
            return events.retried(run, error_of(exception), einfo), None
        if isinstance(exception, Terminated):
            return self.terminated(run, request)
        return self.certain(run, request, einfo) or self.failed(run, exception, einfo)

    def failed(self, run: Run, exception: Any, einfo: Any) -> Outcome:
        """The outcome of an error that means no more than what it says."""
        if isinstance(exception, WorkerLostError) and not self.shared:
            return events.failed(run, "worker_lost", lost(run.pid, exception)), "failed"
        # Where tasks share a process, WorkerLostError means that the task alone has raised an exit.
        outcome = next((name for kind, name in OUTCOMES.items() if isinstance(exception, kind)), "error")
        return events.failed(run, outcome, error_of(exception), einfo), "failed"

    def terminated(self, run: Run, request: Any) -> Outcome:
        """The outcome of a task whose process was signalled through Celery."""
        if run.started_at is None:
            return self.refusal(run), "failed"
        if not compat.is_cancelled(request):
            return events.failed(run, "revoked", "Terminated by a revoke that did not come from Signalbox"), "failed"
        if request.acknowledged:
            return events.failed(run, "stopped", self.ending.error), "failed"
        return events.requeued(run), None

    def refusal(self, run: Run) -> Event:
        """The final event of a task that was revoked before it ran."""
        if run.task_id in self.runs.refused:
            command_id = self.runs.refused.get(run.task_id)
            return events.dropped(run, "cancelled", refused(run, command_id), command_id)
        return events.dropped(run, "revoked", "Revoked, but not by Signalbox")


def outcome_of(run: Run, state: SlotState) -> Outcome:
    """The outcome of a run that has ended by itself, as its child wrote it; see `SlotState.stored`."""
    if state.word == "SUCCESS":
        return events.succeeded(run, "", state.runtime, at=state.ended), "completed"
    if state.word == "IGNORED":
        return events.succeeded(run, "", state.runtime, "ignored", at=state.ended), "completed"
    if state.word == "RETRY":
        return events.retried(run, state.error, state, state.ended), None
    if state.word == REQUEUED:
        return events.requeued(run, state.ended), None
    return events.failed(run, state.outcome, state.error, state, state.ended), "failed"
