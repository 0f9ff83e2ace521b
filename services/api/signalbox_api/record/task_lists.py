"""Lists of tasks: those that match a filter, page by page, and those that a cancel of many would hit."""

from collections.abc import Sequence

import msgspec

from signalbox.messages.base import Status
from signalbox.messages.views import TaskView
from signalbox.postgres.pool import Connection, Row
from signalbox_api.record.cursor import Cursor
from signalbox_api.record.search import open_matches, search
from signalbox_api.record.task_filter import OPEN, ORDER, TaskFilter, newest_first, parts_of_list, where
from signalbox_api.record.views import Page, columns, page


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """One task that a filter matches."""

    task_id: str
    name: str
    status: Status
    host: str | None


class Matches(msgspec.Struct, frozen=True, kw_only=True):
    """The newest tasks that a filter matches, and how many there are in all."""

    tasks: list[Match]
    total: int
    #: How many of all run; the others wait.
    running: int


class TaskPage(Page[TaskView], frozen=True, kw_only=True):
    """Part of the list of tasks."""

    #: What a search has left out and why, as a sentence; empty: nothing.
    note: str = ""


_TASK = f"SELECT {columns(TaskView)} FROM tasks"  # noqa: S608 - our own names
#: One statement, so that the tasks and their number are of the same moment.
_MATCHES = f"""
SELECT {columns(Match)}, count(*) OVER () AS total, count(*) FILTER (WHERE status = 'running') OVER () AS running
FROM tasks
"""  # noqa: S608


async def list_tasks(connection: Connection, filters: TaskFilter, limit: int, after: Cursor | None) -> TaskPage:
    """The newest tasks that match, after a place in the list."""
    note = ""
    if filters.q:
        found = await search(connection, filters, limit + 1, after)
        rows, note = await _by_ids(connection, found.task_ids), found.note
    else:
        conditions, parts = parts_of_list(filters, after)
        query = newest_first(_TASK, conditions, parts, limit + 1)
        rows = await connection.fetch(query, *conditions.arguments)
    tasks = [TaskView(**row) for row in rows]
    part = page(tasks, limit, [Cursor(task.created_at, task.task_id) for task in tasks])
    return TaskPage(items=part.items, next=part.next, note=note)


async def match_tasks(connection: Connection, filters: TaskFilter, limit: int) -> Matches:
    """The open tasks that a filter matches now."""
    if filters.q:
        conditions = await open_matches(connection, filters)
    else:
        conditions = where(filters)
        conditions.add(OPEN)
    place = conditions.argument(limit)
    query = f"{_MATCHES} {conditions.sql()} {ORDER} LIMIT {place}"
    rows = await connection.fetch(query, *conditions.arguments)
    tasks = [Match(task_id=row["task_id"], name=row["name"], status=row["status"], host=row["host"]) for row in rows]
    return Matches(tasks=tasks, total=rows[0]["total"] if rows else 0, running=rows[0]["running"] if rows else 0)


async def _by_ids(connection: Connection, task_ids: Sequence[str]) -> list[Row]:
    """The tasks with these ids, in their order."""
    rows = {row["task_id"]: row for row in await connection.fetch(f"{_TASK} WHERE task_id = ANY($1)", list(task_ids))}
    return [rows[task_id] for task_id in task_ids if task_id in rows]
