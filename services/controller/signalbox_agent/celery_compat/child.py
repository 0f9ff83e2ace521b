"""Tasks in a pool child: the loop of billiard's Worker, what Celery's tracers call, and the handler of TERM."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from billiard import common
from billiard.pool import Worker
from celery import Task
from celery.app import trace

Body = Callable[..., Any]

#: Billiard's handler of TERM: exits by SystemExit (`billiard/common.py`).
TERM_HANDLER: Any = getattr(common, "_shutdown_cleanup", None)


def around_jobs(
    begin: Callable[[], None], reported: Callable[[], None], idle: Callable[[Callable[[float], bool]], None]
) -> None:
    """Call back from the loop of this child, before it is entered (`Worker.workloop`, `wait_for_job`, `inq`).

    `begin` is called when billiard has set its signal handlers; `reported` when the report of the latest job, if there
    was one, is sent; `idle` before the next one is waited for, with a function that answers whether one comes within so
    many seconds.
    """
    original = Worker.workloop

    def workloop(worker: Any, *args: Any, **kwargs: Any) -> Any:
        wait = worker.wait_for_job

        def wait_for_job() -> Any:
            reported()
            idle(worker.inq._reader.poll)
            return wait()

        worker.wait_for_job = wait_for_job
        begin()
        try:
            return original(worker, *args, **kwargs)
        finally:
            reported()

    Worker.workloop = workloop


def before_tracers(prepare: Callable[[Any], object]) -> None:
    """Have `prepare(task)` called before a tracer of the task is built (`trace.build_tracer`).

    A child builds all of them anew as it starts. What has wrapped `build_tracer` before wraps the body around what
    `prepare` has made of it.
    """
    build = getattr(trace, "build_tracer", None)
    if build is None:
        return

    @functools.wraps(build)
    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        prepare(task)
        return build(name, task, *args, **kwargs)

    trace.build_tracer = build_tracer


def wrap_body(task: Any, wrap: Callable[[Any, Body], Body]) -> None:
    """Have `wrap(task, body)` stand for the body of a task: its `run`, autoretry and all.

    Where its class has a `__call__` of its own, that is the body, with the task as the first argument: `wrap(None, …)`.
    """
    if type(task).__call__ is Task.__call__:
        task.run = wrap(task, task.run)
    else:
        type(task).__call__ = wrap(None, type(task).__call__)
