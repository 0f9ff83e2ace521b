"""The private names of Celery that the agent needs, by feature, and the look-up of those that are missing.

A name counts as there when its owner, a module or a class, has it as an attribute or uses it in the code of a method.
Supported are Celery 5.3 to 5.7; what a name is for stands at the function that uses it.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import celery

TRACKING = "tracking"
CANCEL_WAITING = "cancel of waiting tasks"
CANCEL_RUNNING = "cancel of running tasks"
CHAINS = "end of chains"
UPKEEP = "upkeep of the pool"
POOL_STATE = "state of the pool"
HANDOVER = "hand-over before a stop"
LATE_TERM = "late TERM"
RESTORE = "restore to the broker"
RECONNECT = "reconnect"
REJECTIONS = "rejected messages"
QUEUES = "look into queues"
BEAT_LEASE = "beat lease"

#: The effects for a user when a name of the feature is missing.
EFFECTS = {
    TRACKING: "tasks are not seen, and cannot be cancelled one by one",
    CANCEL_WAITING: "waiting tasks cannot be cancelled",
    CANCEL_RUNNING: "running tasks cannot be cancelled one by one",
    CHAINS: "the rest of a cancelled chain may stay PENDING",
    UPKEEP: "after a cancel it may take 5 s until all processes of the pool work again",
    POOL_STATE: "a pool without a process that works is not noticed",
    HANDOVER: "a task that is handed over during a stop may be lost or run twice",
    LATE_TERM: "a cancel may cut off the report of a task whose work is done",
    RESTORE: "messages of a worker that dies return only after the visibility timeout",
    RECONNECT: "the worker may end when it loses its broker",
    REJECTIONS: "a task whose message the worker throws away is not seen",
    QUEUES: "waiting tasks that were purged are not noticed",
    BEAT_LEASE: "an entry that had to wait for the lease may be sent late",
}

REQUEST, WORKER = "celery.worker.request:Request", "celery.worker.worker:WorkController"
CONSUMER, POOL_STEP = "celery.worker.consumer.consumer:Consumer", "celery.worker.components:Pool"
TASK_POOL, ASYN_POOL = "celery.concurrency.prefork:TaskPool", "celery.concurrency.asynpool:AsynPool"
SEMAPHORE, HUB = "kombu.asynchronous.semaphore:LaxBoundedSemaphore", "kombu.asynchronous.hub:Hub"
CHANNEL, QOS = "kombu.transport.redis:Channel", "kombu.transport.redis:QoS"


class Name(NamedTuple):
    """One private name."""

    feature: str
    #: `module` or `module:Class`.
    owner: str
    name: str
    #: The first version of Celery that has it.
    since: tuple[int, ...] = ()


def _names(feature: str, owner: str, names: str, since: tuple[int, ...] = ()) -> list[Name]:
    return [Name(feature, owner, name, since) for name in names.split()]


WORKER_NAMES = [
    *_names(TRACKING, CONSUMER, "update_strategies"),
    *_names(TRACKING, "celery.worker.request", "create_request_cls"),
    *_names(TRACKING, REQUEST, "execute_using_pool on_success on_failure on_accepted revoked"),
    *_names(CANCEL_WAITING, REQUEST, "_already_revoked _announce_revoked _apply_result"),
    *_names(CANCEL_WAITING, WORKER, "semaphore _quick_release"),
    *_names(CHAINS, REQUEST, "_context"),
    *_names(CHAINS, "celery.backends.base:Backend", "_fail_chain", (5, 7)),
    *_names(RECONNECT, CONSUMER, "on_connection_error_after_connected", (5, 3)),
    *_names(REJECTIONS, CONSUMER, "on_unknown_message on_unknown_task on_invalid_task on_decode_error"),
]
PREFORK_NAMES = [
    *_names(CANCEL_RUNNING, REQUEST, "_already_revoked _announce_revoked _apply_result"),
    *_names(CANCEL_RUNNING, "celery.app.trace", "ExceptionWithTraceback"),
    *_names(CANCEL_RUNNING, TASK_POOL, "_pool terminate_job"),
    *_names(CANCEL_RUNNING, ASYN_POOL, "_pool outqR_fd handle_result_event"),
    *_names(UPKEEP, TASK_POOL, "maintain_pool"),
    *_names(
        UPKEEP,
        ASYN_POOL,
        "_create_worker_process sched_strategy _result_handler _sentinel_poll _job_terminated",
    ),
    *_names(UPKEEP, "billiard.pool:ResultHandler", "state_handlers"),
    *_names(UPKEEP, "billiard.pool", "DEATH"),
    *_names(UPKEEP, "celery.concurrency.asynpool", "SCHED_STRATEGY_FAIR"),
    *_names(POOL_STATE, ASYN_POOL, "_fileno_to_inq _processes _proc_alive_timeout"),
    *_names(POOL_STATE, "celery.concurrency.asynpool", "WORKER_UP PROC_ALIVE_TIMEOUT"),
    *_names(POOL_STATE, "billiard.pool:Worker", "inqW_fd"),
    *_names(HANDOVER, REQUEST, "_already_cancelled"),
    *_names(HANDOVER, SEMAPHORE, "_waiting"),
    *_names(HANDOVER, HUB, "_pop_ready"),
    *_names(HANDOVER, ASYN_POOL, "outbound_buffer _cache"),
    *_names(HANDOVER, "billiard.pool:ApplyResult", "_write_to _accepted"),
    *_names(LATE_TERM, "billiard.common", "TERM_SIGNAL _shutdown_cleanup"),
    *_names(LATE_TERM, "billiard.pool:Worker", "workloop wait_for_job inq"),
    *_names(LATE_TERM, "celery.app.trace", "build_tracer"),
]
REDIS_NAMES = [
    *_names(RESTORE, CHANNEL, "unacked_key unacked_index_key _do_restore_message _in_poll _brpop_read _consumers"),
    *_names(QUEUES, CHANNEL, "_q_for_pri priority_steps"),
    *_names(RESTORE, QOS, "append restore_by_tag _delivered _dirty"),
    *_names(RESTORE, "kombu.transport.virtual.base:Message", "_raw"),
]
GEVENT_NAMES = _names(CANCEL_RUNNING, "celery.concurrency.gevent:TaskPool", "_pool_map")
EVENTLET_NAMES = _names(CANCEL_RUNNING, "celery.concurrency.eventlet:TaskPool", "_pool_map")
BEAT_NAMES = _names(BEAT_LEASE, "celery.beat:Scheduler", "_heap tick reserve apply_async")


class Missing:
    """The names that the installed Celery does not have."""

    def __init__(self, names: list[Name]) -> None:
        found: dict[str, list[str]] = {}
        for one in dict.fromkeys(names):
            if version() >= one.since and not is_there(one.owner, one.name):
                found.setdefault(one.feature, []).append(f"{one.owner.replace(':', '.')}.{one.name}")
        self._found = found

    def can(self, feature: str) -> bool:
        """Whether nothing of a feature is missing."""
        return feature not in self._found

    def sentence(self, feature: str) -> str | None:
        """Why a feature is off; None when it is not."""
        names = self._found.get(feature)
        if names is None:
            return None
        return f"Celery {celery.__version__}: {EFFECTS[feature]}, `{'`, `'.join(names)}` is not there"

    @property
    def sentences(self) -> list[str]:
        """One sentence for each feature that is off."""
        return [sentence for feature in self._found if (sentence := self.sentence(feature)) is not None]


def check_worker(worker: Any) -> Missing:
    """The names that are missing for a WorkController, with its pool and its broker."""
    # A pool may be derived from one of Celery's.
    pools = {base.__module__.rpartition(".")[2] for base in getattr(worker.pool_cls, "__mro__", ())}
    names = {"prefork": PREFORK_NAMES, "gevent": GEVENT_NAMES, "eventlet": EVENTLET_NAMES}
    of_pool = next((names[pool] for pool in names if pool in pools), [])
    return Missing([*WORKER_NAMES, *of_pool, *(REDIS_NAMES if _uses_redis(worker.app) else [])])


def version() -> tuple[int, ...]:
    """Celery's version, as far as it is numbers."""
    return tuple(int(part) for part in celery.__version__.split(".")[:3] if part.isdigit())


def _uses_redis(app: Any) -> bool:
    transport = app.connection_for_read().transport_cls
    return isinstance(transport, str) and transport.startswith(("redis", "sentinel"))


@cache
def is_there(owner: str, name: str) -> bool:
    """Whether a module or class has the name, or a method of the class uses it."""
    module, _, inner = owner.partition(":")
    try:
        place = import_module(module)
        place = getattr(place, inner) if inner else place
    except (ImportError, AttributeError):
        return False
    return hasattr(place, name) or (isinstance(place, type) and any(name in code.co_names for code in _codes(place)))


def _codes(owner: type) -> Iterator[types.CodeType]:
    for base in owner.__mro__:
        for member in vars(base).values():
            code = getattr(member, "__code__", None)
            if code is not None:
                yield from _nested(code)


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)
