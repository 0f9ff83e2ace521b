"""Tasks in a pool child: the loop of billiard's Worker, what Celery's tracers call, and the handler of TERM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billiard import common
from billiard.pool import Worker
from celery import Task, current_app
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


def wrap_bodies(hostname: str, wrap: Callable[[Any, Body], Body]) -> None:
    """Have `wrap(task, body)` stand for the body of each task: its `run`, autoretry and all, or its class's `__call__`.

    The tracers, which may have kept the body itself, are built anew, as `process_initializer` has built them.
    """
    for name, task in current_app.tasks.items():
        if type(task).__call__ is Task.__call__:
            task.run = wrap(task, task.run)
        else:
            type(task).__call__ = wrap(task, type(task).__call__)
        task.__trace__ = trace.build_tracer(name, task, current_app.loader, hostname, app=current_app)
