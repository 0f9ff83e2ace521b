"""Answers of hosts to commands, and commands given on a host: events as rows."""

from collections.abc import Iterator

from signalbox.messages.events import CommandDone, CommandGiven, CommandRefused
from signalbox.messages.receipts import TaskVerdict
from signalbox.messages.verdicts import severity
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.fold.rows import AnswerRow, VerdictRow


def command_done(event: CommandDone, batch: Batch) -> None:
    """A host carried out its part of the command."""
    batch.add_answer(
        AnswerRow(
            command_id=event.command_id,
            host=event.host,
            verdict=event.verdict,
            weight=severity(event.verdict),
            detail=event.detail,
            at=event.at,
        )
    )
    for single in _task_verdicts(event):
        batch.add_verdict(
            VerdictRow(
                command_id=event.command_id,
                task_id=single.task_id,
                host=event.host,
                verdict=single.verdict,
                weight=severity(single.verdict),
                detail=single.detail,
                at=event.at,
            )
        )


def _task_verdicts(event: CommandDone) -> Iterator[TaskVerdict]:
    """Its verdicts on single tasks; that a task is not on this host is none."""
    if event.task_id is not None and event.verdict != "unknown":
        yield TaskVerdict(task_id=event.task_id, verdict=event.verdict, detail=event.detail)
    yield from (single for single in event.tasks if single.verdict != "unknown")


def command_refused(event: CommandRefused, batch: Batch) -> None:
    """A host refused the command."""
    batch.add_answer(
        AnswerRow(
            command_id=event.command_id,
            host=event.host,
            verdict="refused",
            weight=severity("refused"),
            detail=event.reason,
            at=event.at,
        )
    )


def command_given(event: CommandGiven, batch: Batch) -> None:
    """A command was given on the host itself; it did not come over the bus."""
    batch.add_command(audit(event.command))
