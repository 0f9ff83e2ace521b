"""Celery's beat (`celery/beat.py`)."""

from __future__ import annotations

from typing import Any


def forget_order(scheduler: Any) -> None:
    """Have the scheduler sort its entries anew (`Scheduler._heap`)."""
    scheduler._heap = None
