"""Celery's Request (`celery/worker/request.py`), the chain behind it, and the exceptions that billiard wraps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billiard import einfo
from celery import signals, states
from celery.app.task import Context
from celery.exceptions import TaskRevokedError
from celery.worker import state
from celery.worker.request import Request

#: The method by which a Request stores, announces and acknowledges its revoke; 5.0 to 5.7.
ANNOUNCE = "_announce_revoked"
#: Billiard's wrapper around what a child raised; from billiard 4.0 (Celery 5.3) on.
_WRAPPER: Any = getattr(einfo, "ExceptionWithTraceback", ())


def exception_of(einfo: Any) -> Any:
    """The exception that the task raised, without billiard's wrapper."""
    exception = einfo.exception
    return exception.exc if isinstance(exception, _WRAPPER) else exception


def is_revoked(request: Any) -> bool:
    """Whether Celery has announced it as revoked (`Request._announce_revoked` sets the mark)."""
    return bool(getattr(request, "_already_revoked", False))


def is_cancelled(request: Any) -> bool:
    """Whether Celery has cancelled it in a cold shutdown or after a lost connection (`Request.cancel`)."""
    return bool(getattr(request, "_already_cancelled", False))


def is_handed_over(request: Any) -> bool:
    """Whether the pool has it (`Request.execute_using_pool` keeps the pool's answer)."""
    return getattr(request, "_apply_result", None) is not None


def job_of(request: Any) -> Any:
    """The pool's job, None when it is gone; the request holds a weak reference."""
    return request._apply_result()


def announce_refused(request: Any) -> None:
    """Store, announce and acknowledge it as revoked, as `Request.revoked` does."""
    request._announce_revoked("revoked", False, None, False)


def announce_terminated(request: Any, number: int) -> None:
    """Store, announce and acknowledge it as terminated by a signal, as `Request.terminate` does."""
    request._announce_revoked("terminated", True, number, False)


def is_celerys_own(announce: Callable[..., Any]) -> bool:
    """Whether this is Celery's way to announce a revoke, and not one of the user's."""
    return announce is Request.__dict__.get(ANNOUNCE)


def announce(
    request: Any, reason: Any, terminated: Any, signum: Any, expired: Any, put: Callable[[Callable[[], object]], None]
) -> None:
    """Do as `Request._announce_revoked` does, 5.3 to 5.7, but have the result stored by `put`."""
    fields = {"terminated": terminated, "signum": signum, "expired": expired}
    state.task_ready(request)
    request.send_event("task-revoked", **fields)
    put(stored_as_revoked(request, reason))
    request.acknowledge()
    request._already_revoked = True
    signals.task_revoked.send(request.task, request=request._context, **fields)


def stored_as_revoked(request: Any, reason: str) -> Callable[[], object]:
    """A function that stores its result, wherever it is called: the backend of an application is one a thread."""
    task, store = request.task, {"request": request._context, "store_result": request.store_errors}
    return lambda: task.backend.mark_as_revoked(request.id, reason, **store)


def has_chain(request: Any) -> bool:
    """Whether something follows it in a chain (`Request._context`)."""
    return bool(request._context.chain)


def fail_chain(request: Any, reason: str) -> None:
    """Store that what follows in its chain is revoked, too, and count it in its chord.

    The rest of a chain is never sent: nothing would ever be stored for it, and a client that waits for the last task
    would wait for ever. Celery sees to that when a task fails, and forgets it when one is revoked.
    `Backend._fail_chain` does so from 5.7 on. Before, `Backend.mark_as_failure` holds the same loop for failures only.
    """
    backend, chain = request.task.backend, request._context.chain
    error = TaskRevokedError(reason)
    newer = getattr(backend, "_fail_chain", None)
    if chain and newer is not None:
        newer(chain, error, store_result=request.store_errors, state=states.REVOKED)
        return
    for link in chain or ():
        context = Context(link)
        context.update(context.options)
        context.id, context.group = context.options.get("task_id"), context.options.get("group_id")
        if request.store_errors and context.id is not None:
            backend.store_result(context.id, error, states.REVOKED, request=context)
        if "chord" in context.options:
            backend.on_chord_part_return(context, states.REVOKED, error)
