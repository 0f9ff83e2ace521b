"""RedBeat (`redbeat/schedulers.py`): the lock by which one of its beats keeps all others from the schedule."""

from __future__ import annotations

import sys
from typing import Any

#: Removes the lock if it has this token.
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def lock_key(scheduler: Any) -> str:
    """The key of its lock; empty where it is no RedBeat, or has none."""
    module: Any = sys.modules.get("redbeat.schedulers")
    ours = module is not None and isinstance(scheduler, module.RedBeatScheduler)
    return (getattr(scheduler, "lock_key", "") or "") if ours else ""


def token(scheduler: Any) -> str:
    """The token of the lock that it holds (`Lock.local` of redis-py, for the thread that has acquired it)."""
    local = getattr(getattr(scheduler, "lock", None), "local", None)
    found = getattr(local, "token", None) or ""
    return found.decode() if isinstance(found, bytes) else str(found)


def release(scheduler: Any, left: str) -> None:
    """Remove the lock if it has this token."""
    _redis(scheduler).eval(RELEASE, 1, lock_key(scheduler), left)


def expires_in(scheduler: Any) -> float | None:
    """Seconds until the lock expires, without end if it does not; None while nobody holds it."""
    left = int(_redis(scheduler).pttl(lock_key(scheduler)))
    return None if left == -2 else float("inf") if left < 0 else left / 1000


def _redis(scheduler: Any) -> Any:
    return sys.modules["redbeat.schedulers"].get_redis(scheduler.app)
