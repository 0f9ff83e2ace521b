"""Batch of rows that events amount to: at most one row for each key."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from signalbox.messages.events import HostSeen, ProcessChanged
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.merge import latest, merge_answer, merge_log, merge_task
from signalbox_reconciler.fold.rows import AnswerRow, HostRow, LogRow, TaskRow, VerdictRow

K = TypeVar("K")
R = TypeVar("R")


class Batch(msgspec.Struct):
    """Rows by their keys; the upserts need distinct keys."""

    tasks: dict[str, TaskRow] = {}
    #: By task id and run.
    logs: dict[tuple[str, str], LogRow] = {}
    #: By host and name; the later `at` is shown.
    processes: dict[tuple[str, str], ProcessChanged] = {}
    hosts: dict[str, HostRow] = {}
    #: The latest heartbeat of each host lists all that runs there.
    snapshots: dict[str, HostSeen] = {}
    #: By command id and host.
    answers: dict[tuple[str, str], AnswerRow] = {}
    #: By command id, task id and host.
    verdicts: dict[tuple[str, str, str], VerdictRow] = {}
    #: Commands that were given on a host itself.
    commands: dict[str, CommandRow] = {}

    def add_task(self, row: TaskRow) -> None:
        """Merge a task."""
        _add(self.tasks, row.task_id, row, merge_task)

    def add_log(self, row: LogRow) -> None:
        """Merge a run of a task."""
        _add(self.logs, (row.task_id, row.run), row, merge_log)

    def add_process(self, row: ProcessChanged) -> None:
        """Merge a process."""
        _add(self.processes, (row.host, row.name), row, latest)

    def add_host(self, row: HostRow) -> None:
        """Merge a host."""
        _add(self.hosts, row.name, row, latest)

    def add_snapshot(self, row: HostSeen) -> None:
        """Merge a snapshot."""
        _add(self.snapshots, row.host, row, latest)

    def add_answer(self, row: AnswerRow) -> None:
        """Merge an answer."""
        _add(self.answers, (row.command_id, row.host), row, merge_answer)

    def add_verdict(self, row: VerdictRow) -> None:
        """Merge a verdict on a task."""
        _add(self.verdicts, (row.command_id, row.task_id, row.host), row, merge_answer)

    def add_command(self, row: CommandRow) -> None:
        """Add a command; a repeated one changes nothing."""
        self.commands[row.command_id] = row


def _add(rows: dict[K, R], key: K, row: R, merge: Callable[[R, R], R]) -> None:
    present = rows.get(key)
    rows[key] = row if present is None else merge(present, row)
