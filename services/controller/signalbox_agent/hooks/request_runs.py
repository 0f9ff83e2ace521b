"""Runs of requests: each of Celery's requests has one, made when the worker has taken its message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from time import time
from typing import Any

from signalbox_agent.celery_compat.worker import has_own_strategy
from signalbox_agent.tasks.ids import key_of, whole
from signalbox_agent.tasks.runs import Run, Runs, delivery_key
from signalbox_agent.tasks.texts import clean, private


@dataclass(kw_only=True, eq=False)
class RequestRuns:
    """The run of each request, and the key of each delivery."""

    runs: Runs
    instance: str
    #: The worker's name.
    node: str
    #: Names the queue that a request came from.
    queue_of: Callable[[Any], str]

    def __post_init__(self) -> None:
        self._deliveries = count(1)
        #: Works off what is noted of requests; see `settling`.
        self.settle: Callable[[], object] = lambda: None

    def of(self, request: Any) -> Run:
        """The run that belongs to a request, with all that is known of it."""
        self.settle()
        run: Run | None = request._signalbox  # our own mark
        return self.open(request, time()) if run is None else run

    def open(self, request: Any, taken_at: float) -> Run:
        """The run of a request that has none."""
        headers = request.request_dict
        celery_name = clean(request.type)
        name = clean(headers.get("shadow") or celery_name.rpartition(".")[2])
        retries, redelivered = int(headers.get("retries") or 0), bool(request.delivery_info.get("redelivered"))
        message = getattr(request, "message", None)
        delivery = self.delivery_of(message, retries, redelivered=redelivered, at=taken_at)
        run = Run(request, key_of(request.id), celery_name, name, retries, delivery)
        run.full_id = "" if run.task_id == request.id else whole(request.id)
        run.describe(self.node, self.queue_of(request), private(request.argsrepr), private(request.kwargsrepr))
        run.acks_late, run.taken_at = bool(request.task.acks_late), taken_at
        run.own_strategy = has_own_strategy(request.task)
        if redelivered:
            run.original = self.runs.original_of(run.task_id, run.retries)
            if run.original is not None:
                run.original.duplicates.append(run)
        self.runs.add(run)
        request._signalbox = run
        return run

    def delivery_of(self, message: Any, retries: int, *, redelivered: bool, at: float | None = None) -> str:
        """The key of a delivery: redelivered or not, its number, and the message where its transport names that."""
        mark = f"{'r' if redelivered else 'w'}{next(self._deliveries)}"
        tag: object = getattr(message, "delivery_tag", None)
        name = tag[:8] if isinstance(tag, str) else ""
        mark = f"{mark}.{name}" if name.isalnum() and name.isascii() else mark
        return delivery_key(retries, time() if at is None else at, self.instance, mark)
