"""Views of the record: one function for each query, with its SQL beside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from signalbox.bus.presence import SILENCE_SHOWN
from signalbox.messages.views import CommandView, HostView, LogView, ProcessView, TaskView, View
from signalbox.postgres.pool import Connection
from signalbox_api.record.cursor import Cursor

V = TypeVar("V", bound=View)
R = TypeVar("R")


class Page(msgspec.Struct, Generic[V], frozen=True, kw_only=True):
    """Part of a list, newest first."""

    items: Sequence[V]
    #: What to give as `after` to get the next part; none: this was the last.
    next: str | None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """The last heartbeat of any reconciler; ages in seconds by the clock of PostgreSQL, None: there was none."""

    seen_age: float | None = None
    #: Since the moment up to which every event is in the record.
    complete_age: float | None = None


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """Every host and process."""

    hosts: Sequence[HostView]
    processes: Sequence[ProcessView]
    #: Seconds since the last report of each host was recorded, by the clock of PostgreSQL.
    report_ages: Mapping[str, float]
    #: What is not listed, in words; empty: nothing.
    note: str = ""


class LiveRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a task that has not ended."""

    log_id: int
    attempt: int
    #: Whether somebody saw it lately.
    confirmed: bool
    host: str | None
    worker: str | None
    pid: int | None
    started_at: datetime | None


class KnownTask(msgspec.Struct, frozen=True, kw_only=True):
    """Task as a cancel needs it."""

    task: TaskView
    #: The cancel that was asked for first.
    cancel_command_id: str | None
    #: The hosts that run it; several where its id was sent or delivered more than once.
    running_on: tuple[str, ...] = ()
    #: Whether a run of it was given up whose end nobody saw; it may go on.
    unsure: bool = False


def columns(view: type[msgspec.Struct]) -> str:
    """The columns of a view, as a list in SQL."""
    return ", ".join(view.__struct_fields__)


_KNOWN = f"""
SELECT {columns(TaskView)}, cancel_command_id, ARRAY(
        SELECT DISTINCT host FROM task_logs AS l WHERE l.task_id = t.task_id AND l.status = 'running' AND l.host <> ''
    ) AS running_on,
    EXISTS (
        SELECT FROM task_logs AS l WHERE l.task_id = t.task_id AND l.status = 'failed' AND NOT l.confirmed
    ) AS unsure
FROM tasks AS t
"""  # noqa: S608
_KNOWN_TASK = f"{_KNOWN} WHERE task_id = $1"
_KNOWN_TASKS = f"{_KNOWN} WHERE task_id = ANY($1::text[])"
#: Cancels that were given before a release are void.
_REFUSED = """
SELECT COALESCE((SELECT name FROM tasks WHERE task_id = $1), '') WHERE EXISTS (
    SELECT FROM cancels AS c WHERE c.task_id = $1 AND c.state <> 'refused' AND NOT EXISTS (
        SELECT FROM allows AS a WHERE a.task_id = c.task_id AND a.issued_at >= c.issued_at
    )
)
"""
_UNFINISHED = "SELECT count(*) FROM tasks WHERE task_id = ANY($1::text[]) AND finished_at IS NULL"
_LOGS = f"SELECT {columns(LogView)} FROM task_logs WHERE task_id = $1 ORDER BY attempt, log_id LIMIT $2"  # noqa: S608
_RUNS = f"""
SELECT {columns(LiveRun)} FROM task_logs WHERE task_id = $1 AND status = 'running' ORDER BY attempt, log_id LIMIT $2
"""  # noqa: S608
_COMMANDS = f"SELECT {columns(CommandView)} FROM commands"  # noqa: S608
#: The reconciler doubts a silent host, too; but it may be what is silent, or be cut off from the bus itself.
_HOSTS = f"""
SELECT name, seen_at, proof, proof_detail, clock_ahead, CASE
    WHEN state = 'online' AND heard_at < now() - interval '{SILENCE_SHOWN} seconds' THEN 'unknown'
    ELSE state END AS state, EXTRACT(EPOCH FROM now() - heard_at)::float8 AS report_age
FROM hosts WHERE state <> 'gone' ORDER BY name LIMIT $1
"""  # noqa: S608
_PROCESSES = f"SELECT {columns(ProcessView)} FROM processes ORDER BY host, kind DESC, name LIMIT $1"  # noqa: S608

_REPORT_AGES = """
SELECT name, EXTRACT(EPOCH FROM now() - heard_at)::float8 AS report_age FROM hosts WHERE name = ANY($1::text[])
"""
#: A reconciler of an earlier release has no such table.
_HAS_HEARTBEATS = "SELECT to_regclass('reconcilers') IS NOT NULL"
_LAST_HEARTBEAT = """
SELECT EXTRACT(EPOCH FROM now() - max(seen_at))::float8 AS seen_age,
    EXTRACT(EPOCH FROM now() - max(complete_at))::float8 AS complete_age
FROM reconcilers
"""

#: Rows of a list without pages: hosts, processes, attempts.
MOST = 5000


async def find_task(connection: Connection, task_id: str) -> KnownTask | None:
    """One task."""
    row = await connection.fetchrow(_KNOWN_TASK, task_id)
    return None if row is None else _known(row)


async def find_tasks(connection: Connection, task_ids: Sequence[str]) -> dict[str, KnownTask]:
    """The tasks with these ids that the record knows."""
    return {row["task_id"]: _known(row) for row in await connection.fetch(_KNOWN_TASKS, list(task_ids))}


def _known(row: Mapping[str, Any]) -> KnownTask:
    fields = dict(row)
    more = {name: fields.pop(name) for name in ("cancel_command_id", "unsure")}
    running_on = tuple(fields.pop("running_on"))
    return KnownTask(task=TaskView(**fields), running_on=running_on, **more)


async def find_refused(connection: Connection, task_id: str) -> str | None:
    """The name of a task that was cancelled and not released, empty if it is not recorded; None of any other."""
    found = await connection.fetchval(_REFUSED, task_id)
    return None if found is None else str(found)


async def unfinished_of(connection: Connection, task_ids: Sequence[str]) -> int:
    """How many of these tasks wait or run."""
    return int(await connection.fetchval(_UNFINISHED, list(task_ids)))


async def list_logs(connection: Connection, task_id: str) -> tuple[list[LogView], str]:
    """The attempts at a task, first to last, and what is not listed, in words."""
    rows, note = cut(await connection.fetch(_LOGS, task_id, MOST + 1), MOST, "attempts")
    return [LogView(**row) for row in rows], note


async def list_runs(connection: Connection, task_id: str) -> list[LiveRun]:
    """The runs of a task at this moment, the first one first."""
    return [LiveRun(**row) for row in await connection.fetch(_RUNS, task_id, MOST)]


async def list_commands(connection: Connection, limit: int, after: Cursor | None) -> Page[CommandView]:
    """The audit trail, newest first."""
    where = " WHERE (issued_at, command_id) < ($2, $3)" if after else ""
    order = " ORDER BY issued_at DESC, command_id DESC LIMIT $1"
    rows = await connection.fetch(_COMMANDS + where + order, limit + 1, *(after or ()))
    commands = [CommandView(**row) for row in rows]
    return page(commands, limit, [Cursor(command.issued_at, command.command_id) for command in commands])


async def report_ages(connection: Connection, tasks: Sequence[TaskView]) -> dict[str, float]:
    """Seconds since the last report of each host where one of these tasks is not over, by the clock of PostgreSQL."""
    hosts = {task.host for task in tasks if task.host and task.finished_at is None}
    rows = await connection.fetch(_REPORT_AGES, sorted(hosts)) if hosts else []
    return {row["name"]: row["report_age"] for row in rows}


async def last_heartbeat(connection: Connection) -> Heartbeat:
    """The last heartbeat of any reconciler."""
    if not await connection.fetchval(_HAS_HEARTBEATS):
        return Heartbeat()
    row = await connection.fetchrow(_LAST_HEARTBEAT)
    return Heartbeat(**row) if row else Heartbeat()


async def read_fleet(connection: Connection) -> Fleet:
    """Every host that has, or had, a controller, and its processes, workers before beat."""
    hosts, no_hosts = cut(await connection.fetch(_HOSTS, MOST + 1), MOST, "hosts")
    processes, no_processes = cut(await connection.fetch(_PROCESSES, MOST + 1), MOST, "processes")
    return Fleet(
        hosts=[HostView(**{name: row[name] for name in HostView.__struct_fields__}) for row in hosts],
        processes=[ProcessView(**row) for row in processes],
        report_ages={row["name"]: row["report_age"] for row in hosts},
        note=" ".join(filter(None, (no_hosts, no_processes))),
    )


def cut(rows: Sequence[R], most: int, what: str) -> tuple[Sequence[R], str]:
    """The first `most` rows, and a sentence that says so where there are more."""
    return rows[:most], f"There are more {what} than the {most:,} that are listed." if len(rows) > most else ""


def page(rows: Sequence[V], limit: int, cursors: Sequence[Cursor]) -> Page[V]:
    """The first `limit` rows, where one more means that there are others; each has its cursor."""
    return Page(items=rows[:limit], next=str(cursors[limit - 1]) if len(rows) > limit else None)
