"""Celery's worker, consumer (`celery/worker/`) and pools of greenlets, kombu's hub and semaphore."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from celery import Task

from signalbox_agent.safety import logger

#: The methods of `Consumer` that throw a message away: it is no task's, its task is not registered, its content is
#: refused or makes no task, or it cannot be decoded.
NO_TASK, UNKNOWN = "on_unknown_message", "on_unknown_task"
INVALID, UNDECODABLE = "on_invalid_task", "on_decode_error"


def spawns(worker: Any) -> bool:
    """Whether the pool spawns its children instead of forking them (`worker_pool_start_method`, from 5.7 on)."""
    return bool(getattr(worker, "pool_start_method", "fork") == "spawn")


def before_strategies(consumer: Any, call: Callable[[], object]) -> None:
    """Call back before `Consumer.update_strategies`, as the strategies keep the Request class of their task."""
    _before(consumer, "update_strategies", lambda *_: call())


def after_strategies(consumer: Any, call: Callable[[], object]) -> None:
    """Call back after `Consumer.update_strategies`, which has built the handler of each task's messages."""
    original = getattr(consumer, "update_strategies", None)
    if original is None:
        return

    def both(*args: Any) -> None:
        original(*args)
        call()

    consumer.update_strategies = both


def has_own_strategy(task: Any) -> bool:
    """Whether a task does not have Celery's strategy, by which a message becomes a job of the pool."""
    return bool(task.Strategy != Task.Strategy)


def refuse_messages(consumer: Any, name: str, refuse: Callable[[Any, Any], bool]) -> None:
    """Have `refuse(message, body)` decide whether a message of this task is acknowledged and goes no further."""
    handle = consumer.strategies[name]

    def handler(message: Any, body: Any, *args: Any, **kwargs: Any) -> Any:
        if refuse(message, body):
            return message.ack_log_error(logger, consumer.connection_errors)
        return handle(message, body, *args, **kwargs)

    consumer.strategies[name] = handler


def observe_jobs(pool: Any, observe: Callable[[Any, dict[str, Any]], dict[str, Any] | None]) -> None:
    """Have `observe(arguments, options)` see each job that the pool is given (`BasePool.apply_async`).

    Its answer stands for the options of the job; None leaves them as they are.
    """
    apply = pool.apply_async

    def apply_async(target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        return apply(target, args, kwargs, **(observe(args, options) or options))

    pool.apply_async = apply_async


def before_connection_loss(consumer: Any, call: Callable[[], object]) -> None:
    """Call back before `Consumer.on_connection_error_after_connected` (5.3 to 5.7)."""
    _before(consumer, "on_connection_error_after_connected", lambda *_: call())


def before_rejection(consumer: Any, call: Callable[[str, Any, Any], object]) -> None:
    """Call back before the methods of `Consumer` that throw away a message that becomes no Request (5.3 to 5.7).

    `call` is given the name of the method, the message and the error, if there is one. Celery's signals for two of them
    come only when the result backend has stored the failure, and for `on_decode_error` there is none.
    """
    _before(consumer, NO_TASK, lambda _body, message: call(NO_TASK, message, None))
    _before(consumer, UNKNOWN, lambda _body, message, error: call(UNKNOWN, message, error))
    _before(consumer, INVALID, lambda _body, message, error: call(INVALID, message, error))
    _before(consumer, UNDECODABLE, lambda message, error: call(UNDECODABLE, message, error))


def is_from_task_queue(consumer: Any, message: Any) -> bool:
    """Whether a message came through the channel of tasks; remote control has one of its own."""
    channel = getattr(getattr(consumer, "task_consumer", None), "channel", None)
    return channel is None or message.channel is channel


def _before(consumer: Any, name: str, call: Callable[..., object]) -> None:
    original = getattr(consumer, name, None)
    if original is None:
        return

    def both(*args: Any) -> None:
        call(*args)
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
