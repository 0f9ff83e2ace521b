"""Celery's beat (`celery/beat.py`), and what schedulers that keep their entries in a database have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.beat import PersistentScheduler, Scheduler
from kombu.exceptions import OperationalError

#: Seconds that the broker has to answer.
ANSWER = 2.0


def forget_order(scheduler: Any) -> None:
    """Have the scheduler sort its entries anew (`Scheduler._heap`)."""
    scheduler._heap = None


def keeps_times_here(scheduler: Any) -> bool:
    """Whether the times of its entries are in its memory or its file; a scheduler of others has a store that it reads.

    Such a one overrides `schedule`: django-celery-beat, RedBeat, and those for SQLAlchemy and MongoDB do.
    """
    return getattr(type(scheduler), "schedule", None) in (Scheduler.schedule, PersistentScheduler.schedule)


def read_again(scheduler: Any) -> None:
    """Have a scheduler read its database again, if it keeps what it has read (`_initial_read`, as `_dirty` below)."""
    if hasattr(scheduler, "_initial_read"):
        scheduler._initial_read = True
        forget_order(scheduler)


@contextmanager
def unsaved(scheduler: Any, name: str) -> Iterator[None]:
    """Keep a scheduler from saving that an entry has run, until the body has ended; for good, if the process ends.

    The schedulers of django-celery-beat and celery-sqlalchemy-scheduler have the names of what is to be saved in
    `_dirty`, and save in the middle of things: whenever something was sent, or failed to be, and on TERM.
    """
    dirty: Any = getattr(scheduler, "_dirty", None)
    if not isinstance(dirty, set) or name not in dirty:
        yield
        return
    dirty.discard(name)
    try:
        yield
    except Exception:
        dirty.add(name)
        raise
    dirty.add(name)


def is_broker_error(error: BaseException | None) -> bool:
    """Whether something failed because the broker could not be reached; Celery wraps it (`SchedulingError`)."""
    while error is not None:
        if isinstance(error, (OperationalError, ConnectionError, TimeoutError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def broker_answers(app: Any) -> bool:
    """Whether the broker can be reached now."""
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0.0, timeout=ANSWER)
    except Exception:  # noqa: BLE001 - each transport has its own
        return False
    return True
