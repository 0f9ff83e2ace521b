"""What events say of commands."""

from collections.abc import Iterator

from signalbox.client.conclusion import GRAVITY
from signalbox.messages.events import CommandDone, CommandGiven, CommandRefused
from signalbox.messages.receipts import TaskVerdict
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.fold.rows import AnswerRow, VerdictRow


def command_done(event: CommandDone, batch: Batch) -> None:
    """A host did its part."""
    batch.add_answer(
        AnswerRow(
            command_id=event.command_id,
            host=event.host,
            verdict=event.verdict,
            weight=GRAVITY.index(event.verdict),
            detail=event.detail,
            at=event.at,
        )
    )
    for told in _told(event):
        batch.add_verdict(
            VerdictRow(
                command_id=event.command_id,
                task_id=told.task_id,
                host=event.host,
                verdict=told.verdict,
                weight=GRAVITY.index(told.verdict),
                detail=told.detail,
                at=event.at,
            )
        )


def _told(event: CommandDone) -> Iterator[TaskVerdict]:
    """What it says of single tasks; that one is not there says nothing about it."""
    if event.task_id is not None and event.verdict != "unknown":
        yield TaskVerdict(task_id=event.task_id, verdict=event.verdict, detail=event.detail)
    for told in event.tasks:
        if told.verdict != "unknown":
            yield told


def command_refused(event: CommandRefused, batch: Batch) -> None:
    """A host would not do it."""
    batch.add_answer(
        AnswerRow(
            command_id=event.command_id,
            host=event.host,
            verdict="refused",
            weight=GRAVITY.index("refused"),
            detail=event.reason,
            at=event.at,
        )
    )


def command_given(event: CommandGiven, batch: Batch) -> None:
    """Somebody on a host gave a command there; it did not come over the bus."""
    batch.add_command(audit(event.command))
