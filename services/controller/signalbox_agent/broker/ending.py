"""The ending of a worker that its controller has ordered, and of the tasks that end with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from signalbox_agent.celery_compat.requests import context_of, is_cancelled
from signalbox_agent.safety import guarded

#: The error of a task whose worker was shut down by somebody else.
NOT_ORDERED = "Ended together with its worker, which was shut down, but not by Signalbox"


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
    def apply_to(self, request: Any) -> None:
        """Acknowledge a task that ends with the worker, and store its error for clients that wait for a result."""
        if not self.ordered or not is_cancelled(request) or (self.redeliver and not request.acknowledged):
            return
        request.acknowledge()
        request.task.backend.mark_as_revoked(
            request.id, self.error, request=context_of(request), store_result=request.store_errors
        )

    @guarded
    def keep_from_returning(self, request: Any) -> None:
        """Acknowledge a task before a KILL: nothing else keeps the broker from handing it out again."""
        if self.ordered and not self.redeliver:
            request.acknowledge()
