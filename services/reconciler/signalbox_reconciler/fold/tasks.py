"""Tasks and their runs: events as rows."""

from datetime import datetime, timedelta
from typing import Any

from signalbox.messages.base import Outcome, Status
from signalbox.messages.events import (
    TaskCancelled,
    TaskDropped,
    TaskEvent,
    TaskFailed,
    TaskRan,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.rows import LogRow, Phase, TaskRow, WaitRow, microseconds, precedence
from signalbox_reconciler.fold.run_keys import padded, parse

#: The error in the log of a run that was requeued.
REQUEUED = "Given back to its queue, to be run again"
#: How much of a task its events tell: a receipt tells most.
RECEIPT, START = 2, 1
#: Signals sent to a process; greenlets get none.
SIGNALS = frozenset({"TERM", "KILL"})


def received(event: TaskReceived, batch: Batch) -> None:
    """A delivery of the task waits in a worker."""
    common = _common(event, Phase.RECEIVED)
    row = _task(event, common, "pending", details=_details(RECEIPT, event.run, event.at))
    row.args, row.kwargs, row.eta = event.args, event.kwargs, event.eta
    row.root_id, row.parent_id = event.root_id, event.parent_id
    batch.add(row)
    batch.add(WaitRow(**common, status="pending"))


def started(event: TaskStarted, batch: Batch) -> None:
    """The task is running."""
    common = _common(event, Phase.STARTED)
    row = _task(event, common, "running", details=_details(START, event.run, event.at))
    row.args, row.kwargs = event.args, event.kwargs
    batch.add(row)
    batch.add(_log(event, common))


def ran(event: TaskRan, batch: Batch) -> None:
    """The run began and completed; what is written is what its three events amount to."""
    common = _common(event, Phase.FINISHED)
    if event.received_at is None:
        details, created_at = _details(START, event.run, event.started_at), event.started_at
    else:
        details, created_at = _details(RECEIPT, event.delivery, event.received_at), event.received_at
    row = _task(event, common, "completed", details=details)
    row.args, row.kwargs, row.eta = event.args, event.kwargs, event.eta
    row.root_id, row.parent_id = event.root_id, event.parent_id
    row.created_at = min(row.created_at, created_at)
    batch.add(row)
    batch.add(_ended(event, common, "completed", event.outcome))


def signalled(event: TaskSignalled, batch: Batch) -> None:
    """The run goes on after a signal was sent."""
    common = _common(event, Phase.STARTED)
    batch.add(_task(event, common, "running"))
    log = _log(event, common)
    log.cancel_signal, log.cancel_kill_at = event.signal, event.kill_at
    batch.add(log)


def retried(event: TaskRetried, batch: Batch) -> None:
    """The run failed; the task will come again."""
    _end(event, batch, "failed", "error", event.error, event.traceback, phase=Phase.WAITING)


def requeued(event: TaskRequeued, batch: Batch) -> None:
    """The run gave its task back; the task will come again."""
    _end(event, batch, "failed", event.outcome, event.error or REQUEUED, phase=Phase.WAITING)


def succeeded(event: TaskSucceeded, batch: Batch) -> None:
    """The run completed."""
    _end(event, batch, "completed", event.outcome)


def failed(event: TaskFailed, batch: Batch) -> None:
    """The run failed, without a retry."""
    _end(event, batch, "failed", event.outcome, event.error, event.traceback)


def dropped(event: TaskDropped, batch: Batch) -> None:
    """A delivery ended before it ran."""
    _end(event, batch, "failed", event.outcome, event.error)


def cancelled(event: TaskCancelled, batch: Batch) -> None:
    """The run was cancelled, with proof of its end."""
    signal = event.signal if event.signal in SIGNALS else None
    _end(event, batch, "failed", "cancelled", event.error, signal=signal)


def _end(
    event: TaskEvent,
    batch: Batch,
    status: Status,
    outcome: Outcome,
    error: str | None = None,
    traceback: str = "",
    *,
    phase: Phase = Phase.FINISHED,
    signal: str | None = None,
) -> None:
    common = _common(event, phase)
    batch.add(_task(event, common, status))
    log = _ended(event, common, status, outcome)
    log.error, log.traceback, log.cancel_signal = error, traceback or None, signal
    batch.add(log)


def _ended_at(event: TaskEvent) -> datetime:
    """The end by the child's own clock: a worker that lost its broker processes it only when it is connected again."""
    if isinstance(event, TaskSucceeded | TaskRan) and event.started_at is not None and event.runtime is not None:
        return min(event.at, event.started_at + timedelta(seconds=max(0.0, event.runtime)))
    return event.at


def _common(event: TaskEvent, phase: Phase) -> dict[str, Any]:
    """The fields that the rows of a task and of its run share."""
    return {
        "task_id": event.task_id,
        "run": event.run,
        "phase": phase,
        "confirmed": event.certainty == "seen",
        "precedence": precedence(phase, event.at, event.certainty),
        "retries": event.retries,
        "host": event.host or None,
        "worker": event.worker or None,
        "started_at": event.at if isinstance(event, TaskStarted) else getattr(event, "started_at", None),
        "pid": getattr(event, "pid", None) or None,
        "proof": getattr(event, "proof", None),
        "left_processes": getattr(event, "left_processes", 0),
    }


def _details(rank: int, run: str, at: datetime) -> str:
    """The rank of how much of the task an event tells, and among equals the order of the runs and of the times."""
    return f"{rank}{padded(run)} {microseconds(at):017d}"


def _task(event: TaskEvent, common: dict[str, Any], status: Status, *, details: str = "") -> TaskRow:
    """The row of the task itself."""
    started_at = common["started_at"]
    return TaskRow(
        **common,
        status=status,
        details_key=details or _details(0, event.run, event.at),
        full_id=event.full_id or None,
        name=event.name,
        celery_name=event.celery_name,
        queue=event.queue,
        created_at=event.at if started_at is None else min(event.at, started_at),
    )


def _ended(event: TaskEvent, common: dict[str, Any], status: Status, outcome: Outcome) -> LogRow:
    log = _log(event, common)
    log.status, log.outcome, log.finished_at = status, outcome, _ended_at(event)
    return log


def _log(event: TaskEvent, common: dict[str, Any]) -> LogRow:
    # Older agents do not name the delivery; its key then was the count of retries alone.
    delivery = event.delivery or (event.run.partition(".")[0] if parse(event.run).started else event.run)
    return LogRow(**common, delivery=delivery, status="running")
