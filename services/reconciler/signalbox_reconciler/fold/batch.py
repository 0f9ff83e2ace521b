"""Batch of rows that events amount to: at most one row for each key."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from signalbox.messages.events import HostSeen, ProcessChanged, WaitingCompared
from signalbox_reconciler.fold.commands import CommandRow
from signalbox_reconciler.fold.liveliest import Run, liveliest, show
from signalbox_reconciler.fold.merge import latest, merge_answer, merge_log, merge_task, merge_wait
from signalbox_reconciler.fold.rows import AnswerRow, HostRow, LogRow, TaskRow, VerdictRow, WaitRow

Row = (
    TaskRow
    | LogRow
    | WaitRow
    | ProcessChanged
    | HostRow
    | HostSeen
    | WaitingCompared
    | AnswerRow
    | VerdictRow
    | CommandRow
)


class Batch(msgspec.Struct):
    """Rows by their keys; the upserts need distinct keys."""

    tasks: dict[str, TaskRow] = {}
    #: By task id and run.
    logs: dict[tuple[str, str], LogRow] = {}
    #: Deliveries that wait in a worker, by task id and their key.
    waits: dict[tuple[str, str], WaitRow] = {}
    #: By host and name; the later `at` is shown.
    processes: dict[tuple[str, str], ProcessChanged] = {}
    hosts: dict[str, HostRow] = {}
    #: The latest heartbeat of each host lists all that runs there.
    snapshots: dict[str, HostSeen] = {}
    #: By host and round.
    comparisons: dict[tuple[str, datetime], WaitingCompared] = {}
    #: By command id and host.
    answers: dict[tuple[str, str], AnswerRow] = {}
    #: By command id, task id and host.
    verdicts: dict[tuple[str, str, str], VerdictRow] = {}
    #: Commands that were given on a host itself.
    commands: dict[str, CommandRow] = {}

    def add(self, row: Row) -> None:
        """Merge a row with the one of the same key."""
        name, key_of, merge = _RULES[type(row)]
        rows, key = getattr(self, name), key_of(row)
        rows[key] = merge(rows[key], row) if key in rows else row

    def settle(self) -> None:
        """Drop the waits of deliveries that have a log, and have each task show the liveliest of its runs."""
        for log in self.logs.values():
            self.waits.pop((log.task_id, log.delivery), None)
        runs: defaultdict[str, list[Run]] = defaultdict(list)
        rows: list[Run] = [*self.logs.values(), *self.waits.values()]
        for row in rows:
            runs[row.task_id].append(row)
        for task_id, task in self.tasks.items():
            show(task, liveliest(runs[task_id]))

    def with_several_runs(self) -> set[str]:
        """The tasks of which it has several runs, or deliveries that wait."""
        counts = Counter(task_id for task_id, _ in (*self.logs, *self.waits))
        return {task_id for task_id, count in counts.items() if count > 1}


#: For each kind of row its field in the batch, its key, and how two of them are merged.
_RULES: Mapping[type[Row], tuple[str, Callable[[Any], Any], Callable[[Any, Any], Any]]] = {
    TaskRow: ("tasks", attrgetter("task_id"), merge_task),
    LogRow: ("logs", attrgetter("task_id", "run"), merge_log),
    ProcessChanged: ("processes", attrgetter("host", "name"), latest),
    WaitRow: ("waits", attrgetter("task_id", "run"), merge_wait),
    HostRow: ("hosts", attrgetter("name"), latest),
    HostSeen: ("snapshots", attrgetter("host"), latest),
    WaitingCompared: ("comparisons", attrgetter("host", "asked_at"), latest),
    AnswerRow: ("answers", attrgetter("command_id", "host"), merge_answer),
    VerdictRow: ("verdicts", attrgetter("command_id", "task_id", "host"), merge_answer),
    CommandRow: ("commands", attrgetter("command_id"), lambda _, other: other),
}
