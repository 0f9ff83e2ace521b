"""A Request that reports to the tracker: mixed in over Celery's, or over whatever the user made of it.

Celery's own work never depends on ours: each method asks guarded functions only, and an error in one of them has the
meaning "as Celery alone would have done". Nor does ours depend on Celery's: its handlers raise when the broker is gone
or the result backend is full, and skip what follows. So an end is reported before they run, if they cannot change it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.exceptions import TaskRevokedError
from celery.utils.imports import symbol_by_name
from celery.worker import state

from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.hooks.progress import Progress
from signalbox_agent.hooks.tracker import Tracker
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.runs import Run
from signalbox_agent.tasks.texts import clean

Body = Callable[..., Any]


def _reporting(on_success: Callable[..., Any]) -> Callable[..., Any]:
    """Have an `on_success` report the success; a failure that it is given goes to `on_failure`."""

    @functools.wraps(on_success)
    def call(self: Any, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        if isinstance(failed__retval__runtime, ExceptionInfo):
            # An exit, raised where tasks share the process: Celery's own method cannot read it.
            return self.on_failure(failed__retval__runtime)
        tracker = self._signalbox_tracker
        if tracker.shared and tracker.exited(self, failed__retval__runtime):
            return None
        if not tracker.notes.succeeded(self, failed__retval__runtime):
            tracker.succeeded(self, failed__retval__runtime)
        try:
            return on_success(self, failed__retval__runtime, **kwargs)
        finally:
            if self._signalbox is not None and self._signalbox.kill is not None:
                tracker.settled(self, failed__retval__runtime)

    return call


def _waiting(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Have an `execute_using_pool` leave alone what already runs here; Celery takes the error for a sign of that."""

    @functools.wraps(execute)
    def call(self: Any, pool: Any, **kwargs: Any) -> Any:
        run = self._signalbox
        known = self._signalbox_progress is not None if run is None else run.original is None
        if not known and self._signalbox_tracker.waits_for_another(self):
            raise TaskRevokedError(self.id)
        return execute(self, pool, **kwargs)

    return call


def _announcing(announce: Callable[..., Any]) -> Callable[..., Any]:
    """Have the method that announces a revoke report it, and end the rest of the chain.

    Where it is we who have cancelled the task, nothing waits for the result backend.
    """
    own = compat.is_celerys_own(announce)

    @functools.wraps(announce)
    def call(self: Any, reason: Any, terminated: Any, signum: Any, expired: Any) -> None:
        tracker = self._signalbox_tracker
        refused = tracker.refuses(self)
        tracker.revoked(self, terminated=bool(terminated), expired=bool(expired))
        if own and refused:
            compat.announce(self, reason, terminated, signum, expired, tracker.results.put)
        else:
            announce(self, reason, terminated, signum, expired)
        if refused:
            tracker.fail_chain(self, reason)

    return call


#: The methods that Celery generates in a subclass for each task, or that its own methods do not call by `super()`.
_WRAPPERS = {"on_success": _reporting, "execute_using_pool": _waiting, compat.ANNOUNCE: _announcing}


def _epoch(monotonic_time: float) -> float:
    return time() - (monotonic() - monotonic_time)


class TrackedRequest:
    """The mixin."""

    __slots__ = ()

    #: Set by `tracked_class`.
    _signalbox_tracker: Tracker
    _signalbox: Run | None = None
    _signalbox_progress: Progress | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Celery generates a subclass for each task whose methods do not call ours (`create_request_cls`)."""
        super().__init_subclass__(**kwargs)
        for name in cls.__dict__.keys() & _WRAPPERS.keys():
            setattr(cls, name, _WRAPPERS[name](cls.__dict__[name]))

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        tracker = self._signalbox_tracker
        if tracker.shared and tracker.refused(self, _epoch(time_accepted)):
            raise TaskRevokedError(self.id)  # type: ignore[attr-defined]
        try:
            super().on_accepted(pid, time_accepted)  # type: ignore[misc]
        finally:
            if not tracker.notes.accepted(self, pid):
                tracker.accepted(self, pid, _epoch(time_accepted))

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        if self._signalbox_tracker.swallows(self, exc_info):
            return None
        self._signalbox_tracker.failing(self, exc_info)
        try:
            return super().on_failure(exc_info, *args, **kwargs)  # type: ignore[misc]
        finally:
            self._signalbox_tracker.failed(self, exc_info)

    def cancel(self, pool: Any, signal: Any = None, **kwargs: Any) -> None:
        tracker = self._signalbox_tracker
        if tracker.ending.ordered and "emit_retry" in kwargs:
            kwargs["emit_retry"] = False  # nobody will try again what a stop has ended
        super().cancel(pool, signal, **kwargs)  # type: ignore[misc]
        tracker.ends_with_worker(self)

    def on_timeout(self, soft: Any, timeout: Any) -> Any:
        if not soft and self._signalbox_tracker.killing(self):
            return None
        try:
            return super().on_timeout(soft, timeout)  # type: ignore[misc]
        finally:
            if not soft:
                self._signalbox_tracker.timed_out(self, timeout)

    def send_event(self, type: str, **fields: Any) -> Any:  # noqa: A002 - Celery's signature
        run = self._signalbox
        if run is not None and run.announced is not None:
            run.announced.append((type, fields))
        elif type == "task-rejected" and not fields.get("requeue"):
            self._signalbox_tracker.rejected(self)
        return super().send_event(type, **fields)  # type: ignore[misc]

    def revoked(self) -> bool:
        tracker = self._signalbox_tracker
        announced = compat.is_revoked(self)
        if not announced and tracker.notes.may_start(self):
            return bool(super().revoked())  # type: ignore[misc]
        if not announced and tracker.turns_away(self):
            return True  # it is announced to Celery when there is time
        revoked: bool = super().revoked()  # type: ignore[misc]
        if announced:
            # It was announced while it waited, and its turn came: Celery has just taken it in again.
            state.task_ready(self)
            return revoked
        return revoked or bool(tracker.refuse(self))


def tracked_class(base: Any, tracker: Tracker) -> type:
    """`base` with the mixin over it."""
    wrapped = {name: getattr(base, name) for name in _WRAPPERS if hasattr(base, name)}
    body = {"_signalbox_tracker": tracker, "__module__": base.__module__, **wrapped}
    return type(base.__name__, (TrackedRequest, base), body)


@guarded
def settle_duplicate(request: Any, again: bool) -> None:
    """Give up a redelivered message, as its first run is over; `again` tells that the task went back to its queue."""
    state.task_ready(request)
    if again:
        request.reject(requeue=True)
    else:
        request.acknowledge()


def on_received(request: Any = None, **_: Any) -> None:
    """Receiver of Celery's signal `task_received`."""
    tracker = getattr(request, "_signalbox_tracker", None)
    if tracker is not None and not tracker.notes.received(request):
        _received_at_once(tracker, request)


@guarded
def _received_at_once(tracker: Tracker, request: Any) -> None:
    tracker.received(request)
    if tracker.refuses(request):
        request.revoked()  # now: it may have to wait for its time, or its turn


@dataclass(frozen=True)
class Claims:
    """Gives every task of an application a tracked Request; the user's own Request goes on working below it."""

    tracker: Tracker
    #: Called with every task, before others can wrap its body.
    prepare: Sequence[Callable[[Any], None]]
    _classes: dict[Any, type] = field(default_factory=dict)

    @guarded
    def claim(self, tasks: Any) -> None:
        """To be called before strategies are built, as they keep the class."""
        for task in tasks.values():
            base = symbol_by_name(task.Request)
            if issubclass(base, TrackedRequest):
                continue
            if base not in self._classes:
                self._classes[base] = tracked_class(base, self.tracker)
            task.Request = self._classes[base]
            for prepare in self.prepare:
                prepare(task)


def queue_finder(app: Any) -> Callable[[Any], str]:
    """A function that names the queue of a request; an unknown one is named by the routing key."""

    @functools.lru_cache(maxsize=1_000)
    def find(exchange: str, key: str) -> str:
        for name, queue in app.amqp.queues.consume_from.items():
            if queue.routing_key == key and (queue.exchange.name if queue.exchange else "") == exchange:
                return clean(name)
        return clean(key)

    def queue_of(request: Any) -> str:
        info = request.delivery_info
        return find(info.get("exchange") or "", info.get("routing_key") or "")

    return queue_of
