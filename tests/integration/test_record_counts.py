"""Counts of tasks are those of the tasks, whatever happens to them, whoever writes, and whenever they are folded."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis.stateful import rule

from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.store.checks import fold_counts
from support.api import ended, put_task
from support.examples import LONG, examples, expect_no_fault
from support.record import COUNTS, Record, a_record
from support.task_machine import TaskMachine

COUNTED = " UNION ALL ".join(
    f"SELECT '{dimension}', {dimension}, {detail}, status, count(*) FROM tasks"  # noqa: S608 - our own names
    f" WHERE {dimension} <> '' GROUP BY 2, 3, 4"
    for dimension, detail in (
        ("status", "''"),
        ("outcome", "''"),
        ("name", "celery_name"),
        ("queue", "''"),
        ("host", "''"),
    )
)


async def difference(connection: Connection) -> set[tuple[object, ...]]:
    """What is kept and not counted, or counted and not kept; empty: they are the same."""
    kept, counted = [{tuple(row.values()) for row in await connection.fetch(query)} for query in (COUNTS, COUNTED)]
    return kept ^ counted


@pytest.fixture
def record(database_url: str) -> Iterator[Record]:
    with a_record(database_url) as record:
        yield record


class Counting(TaskMachine):
    def __init__(self, record: Record) -> None:
        record.empty()
        super().__init__(record)
        self.real = record

    @rule()
    def the_deltas_are_folded(self) -> None:
        self.real.run(fold_counts)
        self.changed = True

    def check(self) -> None:
        assert self.real.run(difference) == set()


@pytest.mark.timeout(LONG)
def test_after_any_history_the_counts_are_those_of_the_tasks(record: Record) -> None:
    expect_no_fault(lambda: Counting(record), examples(60))


async def test_a_transaction_that_is_rolled_back_counts_nothing(database: Database) -> None:
    await put_task(database)
    async with database.connection() as connection:
        await connection.execute("BEGIN; UPDATE tasks SET queue = 'other'; DELETE FROM tasks; ROLLBACK")
        assert await difference(connection) == set()


async def test_writers_and_folders_side_by_side_lose_no_count(database: Database) -> None:
    async def write(number: int) -> None:
        for _ in range(5):
            await put_task(database, name=f"task_{number % 2}", **(ended("succeeded") if number % 3 else {}))

    async def fold() -> None:
        for _ in range(10):
            async with database.transaction() as connection:
                await fold_counts(connection)

    await asyncio.gather(*map(write, range(5)), fold(), fold())
    async with database.connection() as connection:
        assert await difference(connection) == set()
    await fold()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM task_count_deltas") == 0
        assert await difference(connection) == set()


async def test_counts_are_made_anew_while_others_write(database: Database) -> None:
    await put_task(database)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM task_counts; DELETE FROM task_count_deltas")
        assert await difference(connection) != set()
    async with database.transaction() as writer:
        await writer.execute("UPDATE tasks SET queue = 'other'")
        async with database.connection() as connection:
            await connection.execute("SELECT recount_tasks()")
    async with database.connection() as connection:
        assert await difference(connection) == set()
