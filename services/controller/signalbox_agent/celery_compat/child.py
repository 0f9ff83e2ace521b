"""What runs a task in a pool child: the code of billiard's Worker and of Celery's tracing."""

from __future__ import annotations

import types
from typing import Any

from billiard import common
from billiard import pool as billiard_pool
from celery.app import trace

#: Billiard's handler of TERM: exits by SystemExit (`billiard/common.py`).
TERM_HANDLER: Any = getattr(common, "_shutdown_cleanup", None)
#: The first element of the message by which a child reports a result (`billiard/pool.py`).
READY: Any = getattr(billiard_pool, "READY", None)


def _code(owner: Any, name: str) -> types.CodeType | None:
    found: types.CodeType | None = getattr(getattr(owner, name, None), "__code__", None)
    return found


def _nested(maker: str, name: str) -> types.CodeType | None:
    """The code of the function that a function of Celery's tracing makes; None where there is no such thing."""
    codes = getattr(_code(trace, maker), "co_consts", ())
    return next((one for one in codes if isinstance(one, types.CodeType) and one.co_name == name), None)


#: What runs a task: the body, and all that Celery does before and after it.
TRACE = _nested("build_tracer", "trace_task")
#: What Celery puts around the body in a worker.
PROTECTED = _nested("_install_stack_protection", "__protected_call__")
#: What takes task after task.
WORKLOOP = _code(getattr(billiard_pool, "Worker", None), "workloop")
#: What stands between the two; it has its answer in `R`.
BETWEEN = {_code(trace, "fast_trace_task"), _code(trace, "trace_task_ret")}

#: Whether all of it is there.
COMPLETE = None not in {TERM_HANDLER, READY, TRACE, PROTECTED, WORKLOOP, *BETWEEN}


def task_of(loop: types.FrameType) -> Any:
    """The id of the task that a child works on, from a frame of `Worker.workloop`."""
    _, task, *_ = loop.f_locals.get("args") or (None, None)
    return task


def has_outcome(tracing: types.FrameType) -> bool:
    """Whether Celery's tracing has a result or an error, by its own variables."""
    seen = tracing.f_locals
    return seen.get("state") == "SUCCESS" or seen.get("I") is not None or "exc" in seen


def reports(call: types.FrameType) -> bool:
    """Whether a call between tracing and loop is on its way to tell the parent."""
    if call.f_code in BETWEEN:
        return "R" in call.f_locals
    if call.f_code.co_name == "put":
        message = call.f_locals.get("obj")
        return isinstance(message, tuple) and message[0] == READY
    return call.f_code.co_name == "prepare_result"
