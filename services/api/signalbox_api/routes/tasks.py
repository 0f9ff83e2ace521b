"""Routes of tasks and their logs: lists, and one task."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from signalbox.messages.base import Outcome, Status, utc_now
from signalbox.messages.ids import task_key
from signalbox.messages.views import LogView, TaskView
from signalbox.postgres.pool import Connection
from signalbox_api.answers.bodies import LONGEST_TEXT, PLAIN
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.errors import NotFound
from signalbox_api.record.counts import TaskCounts, read_counts
from signalbox_api.record.cursor import read_cursor
from signalbox_api.record.status import TaskStatus, task_status
from signalbox_api.record.task_filter import TaskFilter
from signalbox_api.record.task_lists import TaskPage, list_tasks
from signalbox_api.record.views import (
    LiveRun,
    find_task,
    list_logs,
    list_runs,
    report_ages,
)
from signalbox_api.record.vouching import Behind
from signalbox_api.routes.access import VIEWERS
from signalbox_api.services import Services, Wired
from signalbox_api.web.task_addresses import TaskId

router = APIRouter(tags=["Tasks"])

#: Rows of one answer.
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")]
_Text = Annotated[str | None, Query(max_length=LONGEST_TEXT, pattern=PLAIN)]
_Search = Annotated[
    str | None,
    Query(
        max_length=LONGEST_TEXT,
        pattern=PLAIN,
        description="A part of the name, the error or the arguments, or the beginning of the id.",
    ),
]

#: A century, beyond which PostgreSQL's own times end sooner or later.
_Age = Annotated[float | None, Query(ge=0, le=3.2e9, description="Seconds since the task was created, at least.")]


class TaskList(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, newest first."""

    items: Sequence[TaskStatus]
    #: What to give as `after` to get the next part; null: this was the last.
    next: str | None
    #: Every event until then is in the record; null: nobody has ever said so.
    as_of: datetime | None
    #: The parts that are behind or away. While there are any, no task that is not over counts as confirmed.
    behind: tuple[Behind, ...]
    #: What a search has left out and why, as a sentence; empty: nothing.
    note: str = ""


class TaskDetail(TaskStatus, frozen=True, kw_only=True):
    """One task, and what runs of it at this moment."""

    #: The `task_id` that lists and live changes show; here that is the one that was asked for.
    task_key: str
    #: Several where its id was sent or delivered more than once.
    runs: Sequence[LiveRun]


class LogList(msgspec.Struct, frozen=True, kw_only=True):
    """The attempts at a task, first to last."""

    items: Sequence[LogView]
    next: str | None = None
    #: What is not listed, as a sentence; empty: nothing.
    note: str = ""


@router.get("/scheduler/tasks/", summary="List tasks", responses=answers(TaskList, 422), dependencies=VIEWERS)
async def tasks(
    services: Wired,
    *,
    status: Status | None = None,
    q: _Search = None,
    name: _Text = None,
    host: _Text = None,
    queue: _Text = None,
    outcome: Outcome | None = None,
    older_than: _Age = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """The newest tasks that match all that is given."""
    filters = TaskFilter(status=status, q=q, name=name, host=host, queue=queue, outcome=outcome, older_than=older_than)
    place = read_cursor(after) if after else None

    async def listed(connection: Connection) -> tuple[TaskPage, dict[str, float]]:
        page = await list_tasks(connection, filters, limit, place)
        return page, await report_ages(connection, page.items)

    page, ages = await services.lists(filters).read(listed)
    vouch = services.probes.vouch()
    items = _with_status(services, page.items, ages)
    return reply(TaskList(items=items, next=page.next, as_of=vouch.as_of, behind=vouch.behind, note=page.note))


@router.get("/scheduler/task-counts/", summary="Count tasks", responses=answers(TaskCounts), dependencies=VIEWERS)
async def counts(services: Wired) -> Response:
    """How many tasks there are by status, outcome, name, queue and host."""
    return reply(await services.record.read(read_counts))


@router.get(
    "/scheduler/tasks/{task_id}/", summary="Look at one task", responses=answers(TaskDetail, 404), dependencies=VIEWERS
)
async def task(task_id: TaskId, services: Wired) -> Response:
    """One task, as the record has it; one that is not over counts as confirmed only while somebody vouches for it."""
    key = task_key(task_id)

    async def found(connection: Connection) -> tuple[list[TaskView], list[LiveRun], dict[str, float]]:
        known = await find_task(connection, key)
        tasks = [known.task] if known else []
        return tasks, await list_runs(connection, key), await report_ages(connection, tasks)

    tasks, runs, ages = await services.record.read(found)
    if not tasks:
        raise NotFound(f"The record knows no task {task_id[:200]!r}")
    vouch = services.probes.vouch()
    seen = [run if vouch.given else msgspec.structs.replace(run, confirmed=False) for run in runs]
    status = _with_status(services, tasks, ages)[0]
    fields = {**msgspec.structs.asdict(status), "task_id": task_id}
    return reply(TaskDetail(**fields, task_key=key, runs=seen))


def _with_status(services: Services, tasks: Sequence[TaskView], ages: Mapping[str, float]) -> list[TaskStatus]:
    """Tasks that have just been read, with the ages of their hosts' reports."""
    now, vouch = utc_now(), services.probes.vouch()
    reported_at = {host: now - timedelta(seconds=age) for host, age in ages.items()}
    return [task_status(task, vouch, reported_at) for task in tasks]


@router.get(
    "/scheduler/tasks/{task_id}/logs/",
    summary="Look at a task's logs",
    responses=answers(LogList, 404),
    dependencies=VIEWERS,
)
async def logs(task_id: TaskId, services: Wired) -> Response:
    """Each attempt at the task that was started: where, when, and how it ended."""
    found, note = await services.record.read(lambda connection: list_logs(connection, task_key(task_id)))
    if not found:
        await task(task_id, services)  # a task without logs is not the same as no task
    return reply(LogList(items=found, note=note))
