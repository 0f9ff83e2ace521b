"""The record's SQL merges rows by the same rules as the fold: no delivery of the events changes what it holds."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest
from hypothesis import given, settings
from msgspec.structs import asdict

from signalbox.messages.events import AnyTaskEvent
from signalbox.postgres.pool import Database, open_database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.batch import Batch
from signalbox_reconciler.fold.rows import LogRow, TaskRow
from signalbox_reconciler.store import write_batch
from support.history import Life, deliveries

Rows = dict[str, dict[str, object]]


class Record:
    """The record, from a test that is not asynchronous: Hypothesis knows no other."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self._runner, self._database = runner, database

    def write(self, batches: list[list[AnyTaskEvent]]) -> None:
        """Each batch in a transaction."""
        self._runner.run(self._write(batches))

    def rows(self, table: str, key: str) -> Rows:
        """What a table holds."""
        return self._runner.run(self._rows(table, key))

    async def _write(self, batches: list[list[AnyTaskEvent]]) -> None:
        for batch in batches:
            async with self._database.transaction() as connection:
                await write_batch(connection, fold(batch))

    async def _rows(self, table: str, key: str) -> Rows:
        async with self._database.connection() as connection:
            rows = await connection.fetch(f"SELECT *, {key} AS key FROM {table}")  # noqa: S608 - our own names
        return {row["key"]: dict(row) for row in rows}

    async def _empty(self) -> None:
        async with self._database.connection() as connection:
            await connection.execute("TRUNCATE tasks, task_logs")

    def empty(self) -> None:
        """Forget all tasks."""
        self._runner.run(self._empty())


@contextmanager
def a_record(url: str) -> Iterator[Record]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield Record(runner, runner.run(stack.enter_async_context(open_database(url, connections=1))))
        finally:
            runner.run(stack.aclose())


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with a_record(database_url) as record:
        yield record


def shown(rows: Rows, kind: type[TaskRow | LogRow]) -> Rows:
    return {key: {field: row[field] for field in kind.__struct_fields__} for key, row in rows.items()}


def folded(batch: Batch) -> tuple[Rows, Rows]:
    logs = {f"{log.task_id} {log.run}": asdict(log) for log in batch.logs.values()}
    return {task.task_id: asdict(task) for task in batch.tasks.values()}, logs


def attempts(batch: Batch) -> dict[str, int]:
    """One more than the count of retries, or than the attempt before where that is greater."""
    numbers, last = {}, {"": 0}
    for task_id, run in sorted(batch.logs):
        last[task_id] = max(batch.logs[task_id, run].retries, last.get(task_id, 0)) + 1
        numbers[f"{task_id} {run}"] = last[task_id]
    return numbers


def test_no_order_no_repetition_and_no_batching_changes_the_record(record: Record) -> None:
    @settings(max_examples=80, deadline=None)
    @given(deliveries())
    def check(delivery: tuple[list[AnyTaskEvent], list[list[AnyTaskEvent]]]) -> None:
        events, batches = delivery
        record.empty()
        record.write(batches)
        batch = fold(events)
        tasks, logs = record.rows("tasks", "task_id"), record.rows("task_logs", "task_id || ' ' || run")
        assert (shown(tasks, TaskRow), shown(logs, LogRow)) == folded(batch)
        assert {key: log["attempt"] for key, log in logs.items()} == attempts(batch)
        for key, task in tasks.items():
            numbers = [number for log, number in attempts(batch).items() if log.startswith(f"{key} ")]
            assert task["attempt"] == max([batch.tasks[key].retries + 1, *numbers])

    check()


def test_a_task_that_is_delivered_again_counts_one_attempt_more(record: Record) -> None:
    life = Life()
    first, again, retry = life.run(2), life.run(8, pid=101), life.run(20, retries=1, pid=102)
    record.write([[first.started()], [retry.started()], [again.started(), again.retried(9)]])
    logs = record.rows("task_logs", "run")
    assert [logs[run]["attempt"] for run in (first.key, again.key, retry.key)] == [1, 2, 3]
    assert record.rows("tasks", "task_id")["t1"]["attempt"] == 3


def test_the_running_time_is_that_from_start_to_finish(record: Record) -> None:
    run = Life().run(2)
    record.write([[run.succeeded(4.5)], [run.started()]])
    assert record.rows("tasks", "task_id")["t1"]["runtime"] == 2.5
