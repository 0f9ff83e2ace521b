"""How this worker is to end, once its controller has said so: what becomes of the tasks that end with it."""

from __future__ import annotations

from typing import Any

from signalbox_agent.celery_compat.requests import context_of, is_cancelled
from signalbox_agent.safety import guarded

#: The error of a task whose worker was shut down by somebody else.
UNTOLD = "Ended together with its worker, which was shut down, but not by Signalbox"


class Ending:
    """What the controller said about the stop that is under way."""

    def __init__(self) -> None:
        #: Whether it said anything; until then everything goes as Celery has it.
        self.told = False
        #: Why the tasks that run now will have failed.
        self.error = UNTOLD
        #: Whether tasks that are acknowledged late are to run again.
        self.redeliver = False

    def begin(self, error: str, *, redeliver: bool) -> None:
        """A stop was asked for."""
        self.told, self.error, self.redeliver = True, error, redeliver

    @guarded
    def settle(self, request: Any) -> None:
        """This task ends with the worker: see that it stays ended, and that whoever waits for its result knows."""
        if not self.told or not is_cancelled(request) or (self.redeliver and not request.acknowledged):
            return
        request.acknowledge()
        request.task.backend.mark_as_revoked(
            request.id, self.error, request=context_of(request), store_result=request.store_errors
        )

    @guarded
    def keep_from_returning(self, request: Any) -> None:
        """A KILL follows at once: only an acknowledgement keeps the broker from handing the task out again."""
        if self.told and not self.redeliver:
            request.acknowledge()
