"""The record's SQL merges rows by the same rules as the fold: no delivery of the events changes what it holds."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest

from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyEvent
from signalbox_reconciler.fold.rows import LogRow, TaskRow
from signalbox_reconciler.fold.run_keys import parse
from support.examples import LONG, examples, expect_no_fault
from support.history import Life
from support.record import Record, a_record
from support.table import Table
from support.task_machine import TaskMachine


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with a_record(database_url) as record:
        yield record


class Both:
    """The record in PostgreSQL, and beside it the one in memory."""

    def __init__(self, record: Record) -> None:
        record.empty()
        self.record, self.table = record, Table()

    def write(self, events: Sequence[AnyEvent]) -> None:
        self.record.write(events)
        self.table.write(events)

    def write_commands(self, *commands: CancelTask) -> None:
        self.record.write_commands(*commands)

    def give_up(self, task_id: str, run: str, at: datetime) -> None:
        self.record.give_up(task_id, run, at)
        self.table.give_up(task_id, run, at)

    def tasks(self) -> dict[str, TaskRow]:
        return self.record.tasks()

    def logs(self) -> dict[tuple[str, str], LogRow]:
        return self.record.logs()


class Merging(TaskMachine):
    def __init__(self, record: Record) -> None:
        self.both = Both(record)
        super().__init__(self.both)

    def check(self) -> None:
        super().check()
        table, logs = self.both.table, self.both.record.rows("task_logs", "task_id || ' ' || run")
        assert (self.record.tasks(), self.record.logs()) == (table.tasks(), table.logs())
        waits = self.both.record.rows("task_waits", "task_id || ' ' || run")
        assert set(waits) == {f"{task_id} {run}" for task_id, run in table.rows.waits}
        numbers = attempts(table)
        assert {key: log["attempt"] for key, log in logs.items()} == numbers
        for task_id, task in self.both.record.rows("tasks", "task_id").items():
            own = [number for key, number in numbers.items() if key.startswith(f"{task_id} ")]
            own += [wait.retries + 1 for wait in table.rows.waits.values() if wait.task_id == task_id]
            assert int(str(task["attempt"])) >= max(own)


def _place(row: tuple[tuple[str, str], LogRow]) -> tuple[str, tuple[int, int], str]:
    (task_id, run), _ = row
    return task_id, parse(run).order, run


def attempts(table: Table) -> dict[str, int]:
    """One more than the count of retries, or than the attempt before where that is greater."""
    numbers, last = {}, {"": 0}
    for (task_id, run), log in sorted(table.logs().items(), key=_place):
        last[task_id] = max(log.retries, last.get(task_id, 0)) + 1
        numbers[f"{task_id} {run}"] = last[task_id]
    return numbers


@pytest.mark.timeout(LONG)
def test_whatever_happens_and_however_it_is_told_the_record_holds_what_the_fold_makes_of_it(record: Record) -> None:
    expect_no_fault(lambda: Merging(record), examples(120))


def test_a_task_that_is_delivered_again_counts_one_attempt_more(record: Record) -> None:
    life = Life()
    first, again, retry = life.run(2), life.run(8, pid=101), life.run(20, retries=1, pid=102)
    record.write([first.started()], [retry.started()], [again.started(), again.retried(9)])
    logs = record.rows("task_logs", "run")
    assert [logs[run]["attempt"] for run in (first.key, again.key, retry.key)] == [1, 2, 3]
    assert record.rows("tasks", "task_id")["t1"]["attempt"] == 3


def test_the_running_time_is_that_from_start_to_finish(record: Record) -> None:
    run = Life().run(2)
    record.write([run.succeeded(4.5)], [run.started()])
    assert record.rows("tasks", "task_id")["t1"]["runtime"] == 2.5


def test_a_run_that_was_signalled_and_is_over_or_given_up_awaits_no_kill(record: Record) -> None:
    run, other = Life().run(2), Life("t2").run(2)
    record.write([run.started()], [run.signalled(3)], [run.requeued(4)], [other.started(), other.signalled(3)])
    assert record.tasks()["t2"].cancel_kill_at is not None
    record.give_up("t2", other.key, other.signalled(4).at)
    assert [task.cancel_kill_at for task in record.tasks().values()] == [None, None]
