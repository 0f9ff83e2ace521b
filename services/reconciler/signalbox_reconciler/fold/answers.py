"""Answers of hosts to commands, and commands given on a host: events as rows."""

from collections.abc import Iterator
from typing import Any

from signalbox.messages.events import CommandDone, CommandGiven, CommandRefused
from signalbox.messages.receipts import TaskVerdict
from signalbox.messages.verdicts import Verdict, severity
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.fold.rows import AnswerRow, VerdictRow


def command_done(event: CommandDone, batch: Batch) -> None:
    """A host carried out its part of the command."""
    batch.add(AnswerRow(**_fields(event, event.verdict, event.detail)))
    for single in _task_verdicts(event):
        batch.add(VerdictRow(task_id=single.task_id, **_fields(event, single.verdict, single.detail)))


def command_refused(event: CommandRefused, batch: Batch) -> None:
    """A host refused the command."""
    batch.add(AnswerRow(**_fields(event, "refused", event.reason)))


def command_given(event: CommandGiven, batch: Batch) -> None:
    """A command was given on the host itself; it did not come over the bus."""
    batch.add(audit(event.command))


def _task_verdicts(event: CommandDone) -> Iterator[TaskVerdict]:
    """Its verdicts on single tasks; that a task is not on this host is none."""
    if event.task_id is not None and event.verdict != "unknown":
        yield TaskVerdict(task_id=event.task_id, verdict=event.verdict, detail=event.detail)
    yield from (single for single in event.tasks if single.verdict != "unknown")


def _fields(event: CommandDone | CommandRefused, verdict: Verdict, detail: str) -> dict[str, Any]:
    return {
        "command_id": event.command_id,
        "host": event.host,
        "verdict": verdict,
        "weight": severity(verdict),
        "detail": detail,
        "at": event.at,
    }
