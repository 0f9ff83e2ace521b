"""Events of tasks, in the form that the controller takes: `TaskEvent` of the contract in JSON, without `host`.

Three of these are made for each task, on the loop that limits how many tasks a worker can run; so they
are put together from ready parts instead of being encoded each time.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from time import time
from typing import Any

from signalbox_agent.tasks.ids import key_of
from signalbox_agent.tasks.runs import Run
from signalbox_agent.tasks.texts import private, traceback_of

#: JSON.
Event = str

_encode = json.JSONEncoder(separators=(",", ":")).encode


@lru_cache(maxsize=64)
def _second(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).isoformat()[:19]


def instant(epoch: float) -> str:
    """RFC 3339, UTC, in microseconds."""
    whole = int(epoch)
    return f"{_second(whole)}.{int((epoch - whole) * 1_000_000):06d}+00:00"


def _fields(**more: Any) -> str:
    return _encode(more)[1:-1]


def _started_at(run: Run) -> str:
    return "null" if run.started_at is None else f'"{instant(run.started_at)}"'


def event(kind: str, run: Run, at: float, more: str) -> Event:
    """An event of this kind; `more` are its own fields."""
    return f'{{"type":"{kind}","at":"{instant(at)}","run":{quote(run.key)},{run.identity},{more}}}'


def ended(kind: str, run: Run, more: str, at: float | None = None) -> Event:
    """A started attempt is over, one way or the other; now, unless it is known when."""
    left = f'"left_processes":{run.left_processes},' if run.left_processes else ""
    fields = f'{left}"started_at":{_started_at(run)},"pid":{run.pid or "null"},{more}'
    return event(kind, run, time() if at is None else at, fields)


def _certainty(run: Run) -> str:
    """The field of what is not seen: a strategy of its own may run a task without a word."""
    return ',"certainty":"told"' if run.own_strategy else ""


def received(
    run: Run, eta: datetime | None, root_id: str | None, parent_id: str | None, at: float | None = None
) -> Event:
    """It waits here; since now, unless it is known when."""
    more = f"{run.arguments},{origin_of(eta, root_id, parent_id)}{_certainty(run)}"
    return event("TaskReceived", run, time() if at is None else at, more)


def origin_of(eta: datetime | None, root_id: str | None, parent_id: str | None) -> str:
    """The fields about when it is due, and what has sent it."""
    due = f'"{eta.isoformat()}"' if eta and eta.tzinfo else "null"
    root = quote(key_of(root_id)) if root_id else "null"
    parent = quote(key_of(parent_id)) if parent_id else "null"
    return f'"eta":{due},"root_id":{root},"parent_id":{parent}'


def started(run: Run) -> Event:
    """A child runs it."""
    late = ',"acks_late":true' if run.acks_late else ""
    return event("TaskStarted", run, run.started_at or time(), f'"pid":{run.pid},{run.arguments}{late}')


def succeeded(
    run: Run,
    result: object,
    runtime: float | None,
    outcome: str = "succeeded",
    *,
    certainty: str = "seen",
    at: float | None = None,
) -> Event:
    """It returned, or raised Ignore."""
    took = "null" if runtime is None else f"{runtime:.6f}"
    more = f'"result":{quote(private(result))},"runtime":{took},"outcome":"{outcome}"'
    if certainty != "seen":
        more += f',"certainty":"{certainty}"'
    return ended("TaskSucceeded", run, more, at)


def failed(run: Run, outcome: str, error: str, einfo: Any = None, at: float | None = None) -> Event:
    """It is over, without success."""
    return ended("TaskFailed", run, _fields(outcome=outcome, error=error, traceback=traceback_of(einfo)), at)


def retried(run: Run, error: str, einfo: Any = None, at: float | None = None) -> Event:
    """It will be tried again."""
    return ended("TaskRetried", run, _fields(error=error, traceback=traceback_of(einfo)), at)


def requeued(run: Run, at: float | None = None) -> Event:
    """It gave the task back to its queue."""
    return ended("TaskRequeued", run, _fields(outcome="rejected"), at)


def dropped(run: Run, outcome: str, error: str, command_id: str | None = None) -> Event:
    """It will not run."""
    return event("TaskDropped", run, time(), _fields(outcome=outcome, error=error, command_id=command_id))


def signalled(run: Run, command_id: str, signal: str, kill_at: float | None) -> Event:
    """A cancel sent a signal to its process."""
    then = None if kill_at is None else instant(kill_at)
    more = _fields(command_id=command_id, signal=signal, pid=run.pid, kill_at=then)
    return event("TaskSignalled", run, time(), more)


def cancelled(run: Run, command_id: str, signal: str, killed: list[int], error: str, proof: str) -> Event:
    """Its process, and all that descended from it, is dead."""
    more = _fields(command_id=command_id, signal=signal, killed=killed, error=error, proof=proof)
    return ended("TaskCancelled", run, more)
