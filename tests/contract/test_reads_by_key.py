"""The record finds the tasks of a batch by their ids, and never by reading all that it holds."""

from datetime import timedelta
from typing import Any

from signalbox.messages.events import TaskReceived, TaskStarted
from signalbox.postgres.pool import Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.tasks import show_liveliest
from support.history import START

TASKS = 300


def events_of(number: int) -> list[TaskReceived | TaskStarted]:
    heading: dict[str, Any] = {
        "host": "web-01",
        "task_id": f"t{number}",
        "celery_name": "a.b",
        "name": "b",
        "worker": "w@web-01",
    }
    at, key = START + timedelta(milliseconds=number), f"0000.{number:013d}.abcdef12"
    return [
        TaskReceived(at=at, run=f"{key}.w{number}", **heading),
        TaskStarted(at=at, run=f"{key}.7", delivery=f"{key}.w{number}", pid=7, **heading),
    ]


async def test_the_liveliest_runs_are_found_by_the_ids_of_their_tasks(database: Database) -> None:
    async with database.transaction() as connection:
        await write_batch(connection, fold([event for number in range(2 * TASKS) for event in events_of(number)]))
    async with database.transaction() as connection:
        await show_liveliest(connection, [f"t{number}" for number in range(TASKS)])
        read = await connection.fetch(
            "SELECT relname FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('tasks', 'task_logs', 'task_waits') AND seq_scan > 0"
        )
    assert [row["relname"] for row in read] == []
