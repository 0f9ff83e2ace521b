"""Redelivered messages, handed out again while their task runs here, as Redis does when a connection was lost.

Such a message is not run beside the first: it waits for the end of that, and is acknowledged then. Until then the
broker keeps it, so that the task is not lost should we die.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery.worker import state

from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run


def original_of(runs: Iterable[Run], retries: int) -> Run | None:
    """The run among these that a redelivered message is about."""
    return next((run for run in runs if run.started_at is not None and not run.over and run.retries == retries), None)


@guarded
def settle_duplicate(request: Any, again: bool) -> None:
    """Give up a redelivered message, as its first run is over; `again` tells that the task went back to its queue."""
    state.task_ready(request)
    if again:
        request.reject(requeue=True)
    else:
        request.acknowledge()
