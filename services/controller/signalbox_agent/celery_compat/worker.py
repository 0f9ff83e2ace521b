"""Celery's worker, consumer (`celery/worker/`) and pools of greenlets, kombu's hub and semaphore."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def spawns(worker: Any) -> bool:
    """Whether the pool spawns its children instead of forking them (`worker_pool_start_method`, from 5.7 on)."""
    return bool(getattr(worker, "pool_start_method", "fork") == "spawn")


def before_strategies(consumer: Any, call: Callable[[], object]) -> None:
    """Call back before `Consumer.update_strategies`, as the strategies keep the Request class of their task."""
    _before(consumer, "update_strategies", call)


def before_connection_loss(consumer: Any, call: Callable[[], object]) -> None:
    """Call back before `Consumer.on_connection_error_after_connected` (5.3 to 5.7)."""
    _before(consumer, "on_connection_error_after_connected", call)


def _before(consumer: Any, name: str, call: Callable[[], object]) -> None:
    original = getattr(consumer, name, None)
    if original is None:
        return

    def both(*args: Any) -> None:
        call()
        original(*args)

    setattr(consumer, name, both)


def replace_release(worker: Any, release: Callable[[], None]) -> None:
    """Replace the release of the pool's semaphore, which `WorkController._process_task` calls as `_quick_release`."""
    worker.semaphore.release = worker._quick_release = release


def clear_waiting(worker: Any) -> None:
    """Leave what waits for a place of the pool where it is (`LaxBoundedSemaphore._waiting`)."""
    waiting = getattr(getattr(worker, "semaphore", None), "_waiting", None)
    if waiting is not None:
        waiting.clear()


def pending_callbacks(hub: Any) -> Iterable[Any]:
    """Take what the hub would call in its next turn (`Hub._pop_ready`)."""
    take = getattr(hub, "_pop_ready", None)
    return take() if take is not None else ()


def greenlet_of(pool: Any, number: Any) -> Any:
    """The greenlet that Celery knows by this number, which it calls its pid (`TaskPool._pool_map`)."""
    return pool._pool_map.get(number)
