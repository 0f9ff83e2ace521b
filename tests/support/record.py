"""The record, for tests that are not asynchronous: Hypothesis knows no others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import TypeVar

from signalbox.messages.commands import CancelTask
from signalbox.messages.events import AnyEvent
from signalbox.postgres.pool import Connection, Database, open_database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.fold.rows import LogRow, TaskRow
from signalbox_reconciler.store import ChangedViews, write_batch, write_commands
from signalbox_reconciler.store.lost import mark_lost
from support.table import NOBODY_KNOWS

T = TypeVar("T")
Rows = dict[str, dict[str, object]]

TABLES = (
    "task_logs",
    "task_waits",
    "tasks",
    "cancels",
    "command_answers",
    "commands",
    "hosts",
    "task_counts",
    "task_count_deltas",
)
#: TRUNCATE would wait for the disk.
EMPTY = "; ".join(f"DELETE FROM {table}" for table in TABLES)  # noqa: S608 - our own names


#: The counts of tasks that are kept.
COUNTS = """
SELECT dimension, value, detail, status, sum(tasks)::bigint AS tasks
FROM (SELECT * FROM task_counts UNION ALL SELECT * FROM task_count_deltas) AS kept
GROUP BY 1, 2, 3, 4 HAVING sum(tasks) <> 0 ORDER BY 1, 2, 3, 4
"""


class Record:
    """A real one, in PostgreSQL."""

    def __init__(self, runner: asyncio.Runner, database: Database) -> None:
        self._runner, self._database = runner, database
        #: What it holds, as long as nobody writes.
        self._known: dict[tuple[str, str], Rows] = {}

    def write(self, *batches: Sequence[AnyEvent]) -> None:
        """Each batch in a transaction."""
        for batch in batches:
            self._do(lambda connection, batch=batch: write_batch(connection, fold(batch)))  # type: ignore[misc]

    def write_commands(self, *commands: CancelTask) -> None:
        """Put them on the audit trail, in one transaction."""
        self._do(lambda connection: write_commands(connection, [audit(command) for command in commands]))

    def give_up(self, task_id: str, run: str, at: datetime) -> None:
        """Show a run as lost."""
        self._do(lambda connection: mark_lost(connection, {(task_id, run): at}, NOBODY_KNOWS, ChangedViews()))

    def run(self, what: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something with it, in one transaction."""
        return self._do(what)

    def empty(self) -> None:
        """Forget everything."""
        self._do(lambda connection: connection.execute(EMPTY))

    def rows(self, table: str, key: str) -> Rows:
        """What a table holds."""
        if (table, key) not in self._known:
            query = f"SELECT *, {key} AS key FROM {table}"  # noqa: S608 - our own names
            rows = self._do(lambda connection: connection.fetch(query), keep=True)
            self._known[table, key] = {row["key"]: dict(row) for row in rows}
        return self._known[table, key]

    def tasks(self) -> dict[str, TaskRow]:
        """By their ids."""
        return {key: _of(TaskRow, row) for key, row in self.rows("tasks", "task_id").items()}

    def logs(self) -> dict[tuple[str, str], LogRow]:
        """By task id and run."""
        rows = (_of(LogRow, row) for row in self.rows("task_logs", "log_id").values())
        return {(row.task_id, row.run): row for row in rows}

    def _do(self, what: Callable[[Connection], Awaitable[T]], *, keep: bool = False) -> T:
        async def transact() -> T:
            async with self._database.transaction() as connection:
                return await what(connection)

        if not keep:
            self._known.clear()
        return self._runner.run(transact())


def _of(kind: type[T], row: dict[str, object]) -> T:
    return kind(**{field: row[field] for field in kind.__struct_fields__})  # type: ignore[attr-defined]


@contextmanager
def a_record(url: str) -> Iterator[Record]:
    """One in the database of this address."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield Record(runner, runner.run(stack.enter_async_context(open_database(url, connections=1))))
        finally:
            runner.run(stack.aclose())
