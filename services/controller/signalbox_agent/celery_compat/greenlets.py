"""Celery's pools of greenlets (`celery/concurrency/gevent.py`, `eventlet.py`)."""

from __future__ import annotations

from typing import Any


def greenlet_of(pool: Any, number: Any) -> Any:
    """The greenlet that Celery knows by this number, which it calls its pid (`TaskPool._pool_map`)."""
    return pool._pool_map.get(number)
