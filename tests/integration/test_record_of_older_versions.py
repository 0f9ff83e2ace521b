"""A record that was written before ids had several runs: each task shows the same after the migration."""

from importlib.resources import files
from typing import Any

import pytest

from signalbox.postgres.pool import Connection, open_database
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.store.tasks import show_liveliest
from support.stores.databases import a_database
from support.stores.server import Postgres

MIGRATIONS = files("signalbox_reconciler.migrations")
NEW = "0011_runs_of_an_id.sql"
SHOWN = "status, outcome, error, finished_at, confirmed"
RUN, START, END = "0000.1772366402000.abcdef12.100", "2026-03-01T12:00:02Z", "2026-03-01T12:00:07Z"

#: What a task showed, its phase first, and the phase and status of its log, if it had one.
FINISHED = ("4", "'failed'", "'cancelled'", "'Task cancelled manually'", f"'{END}'")
TASKS = {
    "waits": (("1", "'pending'", "NULL", "NULL", "NULL"), None),
    "runs": (("2", "'running'", "NULL", "NULL", "NULL"), "2, 'running', NULL, NULL, NULL"),
    "waits to be tried again": (
        ("3", "'pending'", "NULL", "'Busy()'", "NULL"),
        f"3, 'failed', 'error', 'Busy()', '{END}'",
    ),
    "cancelled while it ran": (FINISHED, ", ".join(FINISHED)),
    "cancelled while it waited": (FINISHED, None),
    "cancelled while it waited to be tried again": (FINISHED, f"3, 'failed', 'error', 'Busy()', '{END}'"),
}


@pytest.mark.parametrize("task", TASKS)
async def test_a_task_shows_the_same_as_before(postgres_server: Postgres, task: str) -> None:
    async with (
        a_database(postgres_server) as name,
        open_database(postgres_server.url_of(name), connections=2) as database,
        database.connection() as connection,
    ):
        await connection.execute("CREATE SCHEMA signalbox")
        for script in sorted(one.name for one in MIGRATIONS.iterdir() if one.name.endswith(".sql")):
            if script == NEW:
                await _write(connection, *TASKS[task])
                before = await _shown(connection)
            await connection.execute((MIGRATIONS / script).read_text(encoding="utf-8"))
        await convert(database)
        assert await _shown(connection) == before
        await show_liveliest(connection, ["t1"])
        assert await _shown(connection) == before


async def _write(connection: Connection, shown: tuple[str, ...], log: str | None) -> None:
    run, started = (RUN, f"'{START}'") if log or shown[0] in "23" else ("0000", "NULL")
    await connection.execute(f"""
        INSERT INTO tasks (task_id, run, started_at, precedence, retries, attempt, phase, status, outcome, error,
            finished_at, confirmed, host, worker, details_key, name, celery_name, queue, args, kwargs, created_at)
        VALUES ('t1', '{run}', {started}, 7, 0, 1, {", ".join(shown)}, true, 'web-07', 'worker@web-07', '', 'charge',
            'shop.charge', 'orders', '', '', '{START}')
    """)  # noqa: S608
    if log:
        await connection.execute(f"""
            INSERT INTO task_logs (task_id, run, started_at, precedence, retries, attempt, phase, status, outcome,
                error, finished_at, confirmed, host, worker)
            VALUES ('t1', '{run}', {started}, 7, 0, 1, {log}, true, 'web-07', 'worker@web-07')
        """)  # noqa: S608


async def _shown(connection: Connection) -> dict[str, Any]:
    [row] = await connection.fetch(f"SELECT {SHOWN} FROM tasks")  # noqa: S608 - our own names
    return dict(row)
