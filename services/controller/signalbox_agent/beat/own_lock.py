"""The lock that a scheduler has of its own: RedBeat's, which outlives a beat by 25 minutes by default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from time import sleep
from typing import Any

from signalbox_agent.beat.permission import Permission
from signalbox_agent.celery_compat import redbeat
from signalbox_agent.safety import guarded

#: Seconds between two looks.
LOOK = 0.25


@guarded
def wait_for_lock(scheduler: Any, permission: Permission, waits: Callable[[str], None]) -> None:
    """Return when the lock can be had; `waits` is called with the reason if that takes long.

    RedBeat itself would look once in its longest interval, and say nothing. A lock that a former beat under our lease
    has left behind is removed: that one may send nothing more.
    """
    key = redbeat.lock_key(scheduler)
    if not key:
        return
    while not permission.may_send(LOOK):
        pass
    if left := permission.left_lock:
        redbeat.release(scheduler, left)
    said = False
    while (seconds := redbeat.expires_in(scheduler)) is not None:
        if not said:
            said = True
            waits(f"waits for the lock of RedBeat, {key}, which another beat holds or has left behind{_until(seconds)}")
        sleep(LOOK)


def _until(seconds: float) -> str:
    if seconds == float("inf"):
        return ""
    end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return f"; unless that extends it, it expires at {end:%H:%M:%S} UTC"
