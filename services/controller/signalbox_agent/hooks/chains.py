"""What the end of one task means for those that were to follow it in a chain.

They are never sent, so nothing would ever be stored for them, and whoever waits for the last one would wait for ever.
Celery sees to that when a task fails, and forgets it when one is revoked.
"""

from __future__ import annotations

from typing import Any

from signalbox_agent.celery_compat.requests import fail_chain
from signalbox_agent.safety import guarded


@guarded
def end_chain(request: Any, reason: str) -> None:
    """Store that the rest of its chain was revoked, too, and let the chord know that one of them was a part of."""
    fail_chain(request, reason)
