"""What the end of one task means for those that were to follow it in a chain.

They are never sent, so nothing would ever be stored for them, and whoever waits for the last one would wait for ever.
Celery sees to that when a task fails, and forgets it when one is revoked.
"""

from __future__ import annotations

from typing import Any

from celery import states
from celery.exceptions import TaskRevokedError

from signalbox_agent.safety import guarded


@guarded
def end_chain(request: Any, reason: str) -> None:
    """Store that the rest of its chain was revoked, too, and let the chord know that one of them was a part of."""
    fail_chain = getattr(request.task.backend, "_fail_chain", None)  # as mark_as_failure does; new in Celery 5.7
    chain = request._context.chain
    if chain and fail_chain is not None:
        fail_chain(chain, TaskRevokedError(reason), store_result=request.store_errors, state=states.REVOKED)
