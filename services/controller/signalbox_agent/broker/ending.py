"""The ending of a worker that its controller has ordered, and of the tasks that end with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from celery import states

from signalbox_agent.cancel.results import ResultWriter
from signalbox_agent.celery_compat.requests import is_cancelled, stored_as_revoked
from signalbox_agent.child.slot_state import label
from signalbox_agent.child.slots import Slots
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run

#: The error of a task whose worker was shut down by somebody else.
NOT_ORDERED = "Ended together with its worker, which was shut down, but not by Signalbox"
#: The words of a child's slot after which the message of the task has nothing left to do.
DONE = {states.SUCCESS, states.FAILURE, states.RETRY, states.IGNORED}


@dataclass
class Ending:
    """The order of the stop that is under way."""

    #: Whether a stop was ordered; until then everything goes as Celery has it.
    ordered: bool = False
    #: Why the tasks that run now will have failed.
    error: str = NOT_ORDERED
    #: Whether tasks that are acknowledged late are to run again.
    redeliver: bool = False

    def begin(self, error: str, *, redeliver: bool) -> None:
        """Take the order."""
        self.ordered, self.error, self.redeliver = True, error, redeliver

    @guarded
    def apply_to(self, request: Any, results: ResultWriter, *, done: bool) -> None:
        """Acknowledge a task that ends with the worker, and store its error for clients that wait for a result.

        One whose work is `done` has a result of its own, and must not run again either.
        """
        if not self.ordered or not is_cancelled(request):
            return
        if done or request.acknowledged or not self.redeliver:
            request.acknowledge()
            if not done:
                results.put(stored_as_revoked(request, self.error))

    @guarded
    def keep_from_returning(self, request: Any, *, done: bool) -> None:
        """Acknowledge a task before a KILL: nothing else keeps the broker from handing it out again."""
        if self.ordered and (done or not self.redeliver):
            request.acknowledge()


def is_done(slots: Slots, run: Run) -> bool:
    """Whether the child of a task says that its work is done: the report of it may not have been read."""
    state = slots.read(run.pid) if run.pid is not None else None
    return state is not None and state.task_id == label(run.task_id) and state.word in DONE
