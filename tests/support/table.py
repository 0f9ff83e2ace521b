"""The record in memory: what it would hold if its SQL merged as the fold does."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyEvent
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.liveliest import Run
from signalbox_reconciler.fold.rows import LogRow, Phase, TaskRow, precedence

#: What a run that was given up says.
NOBODY_KNOWS = "Nobody knows"


class Table:
    """Tasks and their runs."""

    def __init__(self) -> None:
        self.rows = Batch()
        #: What was given up.
        self.inferred = Batch()

    def write(self, events: Sequence[AnyEvent]) -> None:
        """Take in a batch."""
        self.merge(fold(events))

    def write_commands(self, *commands: CancelTask) -> None:
        """They say nothing of tasks."""

    def merge(self, batch: Batch) -> None:
        """Take in rows."""
        for task in batch.tasks.values():
            self.rows.add(msgspec.structs.replace(task))
        runs: list[Run] = [*batch.logs.values(), *batch.waits.values()]
        for row in runs:
            self.rows.add(msgspec.structs.replace(row))
        self.rows.settle()

    def give_up(self, task_id: str, run: str, at: datetime) -> None:
        """As `store.lost.lose` does."""
        log = self.rows.logs[task_id, run]
        if log.status == "running":
            self.inferred.add(lost(log, at))
            self.merge(self.inferred)

    def tasks(self) -> dict[str, TaskRow]:
        """By their ids."""
        return {task_id: msgspec.structs.replace(row) for task_id, row in self.rows.tasks.items()}

    def logs(self) -> dict[tuple[str, str], LogRow]:
        """By task id and run."""
        return {key: msgspec.structs.replace(row) for key, row in self.rows.logs.items()}


def lost(row: LogRow, at: datetime) -> LogRow:
    """What is inferred of a run of which no more is heard."""
    return msgspec.structs.replace(
        row,
        phase=Phase.FINISHED,
        confirmed=False,
        precedence=precedence(Phase.FINISHED, at),
        status="failed",
        outcome="worker_lost",
        error=NOBODY_KNOWS,
        finished_at=at,
        cancel_kill_at=None,
    )
