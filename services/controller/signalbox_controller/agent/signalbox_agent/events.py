"""What happens to tasks, in the form that the controller takes: `TaskEvent` of the contract, without `host`."""

from __future__ import annotations

from datetime import datetime, timezone
from time import time
from typing import Any

from signalbox_agent.runs import Run
from signalbox_agent.texts import clean, traceback_of

Event = dict[str, Any]


def instant(epoch: float | None) -> str | None:
    """RFC 3339, UTC."""
    return None if epoch is None else datetime.fromtimestamp(epoch, timezone.utc).isoformat()


def event(kind: str, run: Run, at: float | None = None, **more: Any) -> Event:
    """An event of this kind; now unless told otherwise."""
    told = {"type": kind, "at": instant(at or time()), "run": run.key, **run.common}
    told.update(more)
    return told


def received(run: Run, eta: datetime | None, root_id: str | None, parent_id: str | None) -> Event:
    """It waits here."""
    due = eta.isoformat() if eta and eta.tzinfo else None
    told = {"args": run.args, "kwargs": run.kwargs, "eta": due, "root_id": root_id, "parent_id": parent_id}
    return event("TaskReceived", run, None, **told)


def started(run: Run) -> Event:
    """A child runs it."""
    return event("TaskStarted", run, run.started_at, pid=run.pid, args=run.args, kwargs=run.kwargs)


def ended(kind: str, run: Run, **more: Any) -> Event:
    """A started attempt is over, one way or the other."""
    return event(kind, run, started_at=instant(run.started_at), pid=run.pid, **more)


def succeeded(run: Run, result: object, runtime: float | None, outcome: str = "succeeded") -> Event:
    """It returned, or raised Ignore."""
    return ended("TaskSucceeded", run, result=clean(result), runtime=runtime, outcome=outcome)


def failed(run: Run, outcome: str, error: str, einfo: Any = None) -> Event:
    """It is over, without success."""
    return ended("TaskFailed", run, outcome=outcome, error=error, traceback=traceback_of(einfo))


def retried(run: Run, error: str, einfo: Any) -> Event:
    """It will be tried again."""
    return ended("TaskRetried", run, error=error, traceback=traceback_of(einfo))


def dropped(run: Run, outcome: str, error: str, command_id: str | None = None) -> Event:
    """It will not run."""
    return event("TaskDropped", run, outcome=outcome, error=error, command_id=command_id)


def signalled(run: Run, command_id: str, signal: str, kill_at: float | None) -> Event:
    """A cancel sent a signal to its process."""
    return event("TaskSignalled", run, command_id=command_id, signal=signal, pid=run.pid, kill_at=instant(kill_at))


def cancelled(run: Run, command_id: str, signal: str, killed: list[int]) -> Event:
    """Its process, and all that descended from it, is dead."""
    return ended("TaskCancelled", run, command_id=command_id, signal=signal, killed=killed)
