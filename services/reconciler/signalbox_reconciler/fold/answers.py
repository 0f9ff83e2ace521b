"""What events say of commands."""

from signalbox.client.conclusion import GRAVITY
from signalbox.messages.events import CommandDone, CommandGiven, CommandRefused
from signalbox.messages.receipts import CANCELLED
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.fold.rows import AnswerRow


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
            ended=event.task_id if event.verdict in CANCELLED else None,
        )
    )


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
