"""Celery's prefork pool (`celery/concurrency/prefork.py`, `asynpool.py`), and billiard's pool below it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Any

from billiard import common
from billiard import pool as billiard_pool
from celery.concurrency import asynpool

#: The signal by which billiard ends a child: TERM, or what REMAP_SIGTERM names.
TERM_SIGNAL: Any = getattr(common, "TERM_SIGNAL", signal.SIGTERM)
_FAIR = getattr(asynpool, "SCHED_STRATEGY_FAIR", None)
_UP = getattr(asynpool, "WORKER_UP", None)
_DEATH = getattr(billiard_pool, "DEATH", None)


def inner(pool: Any) -> Any:
    """The AsynPool of a TaskPool (`TaskPool._pool`)."""
    return getattr(pool, "_pool", None)


def processes(pool: Any) -> Iterable[Any]:
    """Its children (`billiard.pool.Pool._pool`)."""
    found: Iterable[Any] = getattr(inner(pool), "_pool", ())
    return found


def signal_child(pool: Any, pid: int, number: int) -> None:
    """Signal a child; billiard marks its death as deliberate (`Pool.terminate_job`)."""
    pool.terminate_job(pid, number)


def takes_one_task(pool: Any) -> bool:
    """Whether a child is handed a task only when it has none (`AsynPool.sched_strategy`, `-O fair`)."""
    strategy = getattr(inner(pool), "sched_strategy", None)
    return _FAIR is not None and strategy == _FAIR


def forget_signal(process: Any) -> None:
    """Take back the mark that `Pool.terminate_job` has set (`_job_terminated`)."""
    process._job_terminated = False


def refill(pool: Any) -> None:
    """Reap dead children and start missing ones (`Pool.maintain_pool`); raises what Celery has to see."""
    maintain = getattr(pool, "maintain_pool", None)
    if maintain is not None:
        maintain()


def around_fork(pool: Any, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Wrap the start of a child (`Pool._create_worker_process`)."""
    asyn = inner(pool)
    create = getattr(asyn, "_create_worker_process", None)
    if create is not None:
        asyn._create_worker_process = around(create)


def output_of(process: Any) -> int:
    """The descriptor that a child writes its results to (`AsynPool` keeps it on the process)."""
    handle: int = process.outqR_fd
    return handle


def input_of(process: Any) -> int:
    """The descriptor of the pipe that a child reads its jobs from, at our end (`AsynPool` keeps it on the process)."""
    handle: int = process.inqW_fd
    return handle


def result_reader(pool: Any) -> Callable[[int], None]:
    """The callback of the hub when a child has written (`AsynPool.handle_result_event`)."""
    reader: Callable[[int], None] = inner(pool).handle_result_event
    return reader


def is_queued(pool: Any, job: Any) -> bool:
    """Whether a job waits to be written to a child (`AsynPool.outbound_buffer`)."""
    return job in getattr(inner(pool), "outbound_buffer", ())


def keep_sent(pool: Any) -> None:
    """Have the pool keep the jobs that a child was sent, and has not accepted yet (`ApplyResult._write_to`).

    In a shutdown `AsynPool.flush` forgets each job in `_cache` that is not `_accepted`. A child that has it runs it all
    the same; nobody reads its report, and its message, which was never acknowledged, goes back to its queue.
    """
    for job in tuple(getattr(inner(pool), "_cache", {}).values()):
        if getattr(job, "_write_to", None) is not None:
            job._accepted = True


def is_up(pool: Any, process: Any) -> bool:
    """Whether a child has said that it takes work (`AsynPool._fileno_to_inq`)."""
    known = getattr(inner(pool), "_fileno_to_inq", {}).get(process.inqW_fd)
    return known is process


def wanted(pool: Any) -> int:
    """How many children there should be (`billiard.pool.Pool._processes`)."""
    number: int = getattr(inner(pool), "_processes", 0)
    return number


def start_limit(pool: Any) -> float:
    """Seconds within which a child has to be up, or Celery kills it (`AsynPool._proc_alive_timeout`)."""
    seconds: float = getattr(inner(pool), "_proc_alive_timeout", 0.0)
    return seconds


def raise_start_limit(pool: Any, seconds: float) -> bool:
    """Raise that limit, where it is Celery's own; answer whether it was."""
    usual = getattr(asynpool, "PROC_ALIVE_TIMEOUT", None)
    if start_limit(pool) != usual or seconds <= usual:
        return False
    inner(pool)._proc_alive_timeout = seconds
    return True


def after_up(pool: Any, call: Callable[[], object]) -> None:
    """Call back when a child has said that it takes work (`ResultHandler.state_handlers`)."""
    handlers = getattr(getattr(inner(pool), "_result_handler", None), "state_handlers", {})
    if _UP not in handlers:
        return
    original = handlers[_UP]

    def on_up(pid: int) -> None:
        original(pid)
        call()

    handlers[_UP] = on_up


def stop_watching(process: Any, hub: Any) -> None:
    """Take a child's sentinel off the hub; AsynPool closes the descriptor, which it keeps as `_sentinel_poll`."""
    handle = getattr(process, "_sentinel_poll", None)
    if handle is not None:
        hub.remove(handle)


def before_exit(pool: Any, call: Callable[[int], object]) -> None:
    """Call back, with its pid, when a child says that it is about to exit (`ResultHandler.state_handlers`)."""
    handlers = getattr(getattr(inner(pool), "_result_handler", None), "state_handlers", {})
    if _DEATH not in handlers:
        return
    original = handlers[_DEATH]

    def on_death(pid: int, exitcode: int) -> None:
        call(pid)
        original(pid, exitcode)

    handlers[_DEATH] = on_death
