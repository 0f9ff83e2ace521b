"""Tasks and their runs: events as rows."""

from datetime import datetime, timedelta
from typing import Any

from signalbox.messages.base import Outcome, Status
from signalbox.messages.events import (
    TaskCancelled,
    TaskDropped,
    TaskEvent,
    TaskFailed,
    TaskReceived,
    TaskRequeued,
    TaskRetried,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.rows import LogRow, Phase, TaskRow, microseconds, precedence

#: The error in the log of a run that was requeued.
REQUEUED = "Given back to its queue, to be run again"
#: Number of parts in the key of a run that a child began; see `TaskEvent`.
RUN_PARTS = 4
#: Signals sent to a process; greenlets get none.
SIGNALS = frozenset({"TERM", "KILL"})


def received(event: TaskReceived, batch: Batch) -> None:
    """The task is pending in a worker."""
    row = _task(event, Phase.RECEIVED, "pending", details=2)
    row.args, row.kwargs, row.eta = event.args, event.kwargs, event.eta
    row.root_id, row.parent_id = event.root_id, event.parent_id
    batch.add(row)


def started(event: TaskStarted, batch: Batch) -> None:
    """The task is running."""
    row = _task(event, Phase.STARTED, "running", details=1)
    row.args, row.kwargs = event.args, event.kwargs
    batch.add(row)
    batch.add(_log(event, Phase.STARTED))


def signalled(event: TaskSignalled, batch: Batch) -> None:
    """The task is still running after a signal was sent."""
    row = _task(event, Phase.STARTED, "running")
    row.cancel_signal, row.cancel_kill_at = event.signal, event.kill_at
    batch.add(row)
    batch.add(_log(event, Phase.STARTED))


def retried(event: TaskRetried, batch: Batch) -> None:
    """The run failed; the task is pending again."""
    row = _task(event, Phase.WAITING, "pending")
    row.error = event.error
    batch.add(row)
    _end_log(event, Phase.WAITING, batch, "failed", "error", event.error, event.traceback)


def requeued(event: TaskRequeued, batch: Batch) -> None:
    """The run gave its task back; the task is pending again."""
    batch.add(_task(event, Phase.WAITING, "pending"))
    _end_log(event, Phase.WAITING, batch, "failed", event.outcome, event.error or REQUEUED)


def succeeded(event: TaskSucceeded, batch: Batch) -> None:
    """The task completed."""
    _end_task(event, batch, "completed", event.outcome)
    _end_log(event, Phase.FINISHED, batch, "completed", event.outcome)


def failed(event: TaskFailed, batch: Batch) -> None:
    """The task failed, without a retry."""
    _end_task(event, batch, "failed", event.outcome, event.error)
    _end_log(event, Phase.FINISHED, batch, "failed", event.outcome, event.error, event.traceback)


def dropped(event: TaskDropped, batch: Batch) -> None:
    """The task failed before it ran, so there is no log."""
    _end_task(event, batch, "failed", event.outcome, event.error)


def cancelled(event: TaskCancelled, batch: Batch) -> None:
    """The task failed because it was cancelled, with proof of its end."""
    signal = event.signal if event.signal in SIGNALS else None
    _end_task(event, batch, "failed", "cancelled", event.error, signal=signal)
    _end_log(event, Phase.FINISHED, batch, "failed", "cancelled", event.error)


def _end_task(
    event: TaskEvent,
    batch: Batch,
    status: Status,
    outcome: Outcome,
    error: str | None = None,
    *,
    signal: str | None = None,
) -> None:
    row = _task(event, Phase.FINISHED, status)
    row.outcome, row.error, row.finished_at, row.cancel_signal = outcome, error, _ended_at(event), signal
    batch.add(row)


def _end_log(
    event: TaskEvent,
    phase: Phase,
    batch: Batch,
    status: Status,
    outcome: Outcome,
    error: str | None = None,
    traceback: str = "",
) -> None:
    if event.run.count(".") < RUN_PARTS - 1:
        return  # no child ran it: the key has only retries, and perhaps a redelivery
    row = _log(event, phase)
    row.status, row.outcome, row.error, row.traceback = status, outcome, error, traceback or None
    row.finished_at = _ended_at(event)
    batch.add(row)


def _ended_at(event: TaskEvent) -> datetime:
    """The end by the child's own clock: a worker that lost its broker processes it only when it is connected again."""
    if isinstance(event, TaskSucceeded) and event.started_at is not None and event.runtime is not None:
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


def _task(event: TaskEvent, phase: Phase, status: Status, *, details: int = 0) -> TaskRow:
    """The row of an event; `details` ranks how much of the task itself such an event carries."""
    common = _common(event, phase)
    started_at = common["started_at"]
    return TaskRow(
        **common,
        status=status,
        # The blank sorts before every character of a run, so that a longer run counts as the later one.
        details_key=f"{details}{event.run} {microseconds(event.at):017d}",
        name=event.name,
        celery_name=event.celery_name,
        queue=event.queue,
        created_at=event.at if started_at is None else min(event.at, started_at),
    )


def _log(event: TaskEvent, phase: Phase) -> LogRow:
    return LogRow(**_common(event, phase), status="running")
