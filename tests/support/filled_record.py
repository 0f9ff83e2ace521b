"""A record with many tasks, made inside PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import md5
from typing import get_args
from uuid import UUID

from signalbox.postgres.migrate import migrate
from signalbox.postgres.online import migrate_online
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.partitions.conversion import convert
from signalbox_reconciler.partitions.indexes import complete_indexes
from signalbox_reconciler.partitions.periods import FinishedStatus, add_period
from signalbox_reconciler.service import MIGRATIONS, ONLINE_MIGRATIONS, ONLINE_SERVICE, SERVICE

#: Seconds for one statement.
_TIMEOUT = 3600.0
#: One task in a thousand is open, the newest ones. Of the finished ones a few have what is rare: a host, a queue, a
#: name, an outcome; and one name was used only in the beginning.
_TASKS = """
INSERT INTO tasks (task_id, run, phase, confirmed, precedence, status, outcome, error, retries, host, worker,
    finished_at, started_at, pid, details_key, name, celery_name, queue, args, kwargs, created_at, attempt, period)
SELECT md5(n::text)::uuid::text, '0000.1', CASE WHEN open THEN 2 ELSE 4 END, true, 1,
    CASE WHEN open THEN CASE WHEN n % 3 = 0 THEN 'running' ELSE 'pending' END
        WHEN outcome = 'succeeded' THEN 'completed' ELSE 'failed' END,
    CASE WHEN NOT open THEN outcome END,
    CASE WHEN NOT open AND outcome = 'error' THEN format('ValueError: no stock for item %s in hall %s', n, n % 7) END,
    0, host, 'worker@' || host, CASE WHEN NOT open THEN at + interval '1 second' END, at, 4711, '1', name,
    format('shop.%s.%s', part, name), queue, format('(''order-%s'',)', n), '{''currency'': ''EUR''}', at, 1,
    COALESCE((SELECT p.period FROM periods AS p
        WHERE p.status = CASE WHEN open THEN '' WHEN outcome = 'succeeded' THEN 'completed' ELSE 'failed' END
            AND p.begins <= at ORDER BY begins DESC LIMIT 1), 0)
FROM (
    SELECT n, n > $1 - $1 / 1000 AS open, now() - ($1 - n) * interval '2 seconds' AS at,
        CASE WHEN n % 50000 = 7 THEN 'host-rare' ELSE 'host-' || n % 97 END AS host,
        CASE WHEN n % 50000 = 11 THEN 'queue-rare' ELSE 'queue-' || n % 7 END AS queue,
        CASE WHEN n < $1 / 50 THEN 'retired' WHEN n % 50000 = 13 THEN 'name-rare' ELSE 'task_' || n % 31 END AS name,
        CASE WHEN n % 2 = 0 THEN 'orders' ELSE 'mail' END AS part,
        CASE WHEN n % 20 = 0 THEN 'error' WHEN n % 50000 = 17 THEN 'worker_lost' WHEN n % 401 = 0 THEN 'cancelled'
            ELSE 'succeeded' END AS outcome
    FROM generate_series($2::bigint, $3::bigint) AS n
) AS made
"""
_LOGS = """
INSERT INTO task_logs (log_id, task_id, run, attempt, phase, confirmed, precedence, status, outcome, retries, host,
    finished_at, period)
SELECT nextval('task_log_ids'), task_id, run, 1, CASE WHEN finished_at IS NULL THEN 2 ELSE 4 END, true, 1,
    CASE WHEN finished_at IS NULL THEN 'running' ELSE status END, outcome, 0, host, finished_at, period
FROM tasks WHERE (task_id < '8') = $1
"""
_COMMANDS = """
INSERT INTO commands (command_id, command, target, issued_by, issued_from, reason, issued_at, expires_at, answer_by,
    state, detail)
SELECT 'c' || n, 'CancelTask', '', 'user:a', '', '', now() - n * interval '1 minute', now(), now(), 'cancelled', ''
FROM generate_series(1, $1::bigint) AS n
"""
_CANCELS = """
INSERT INTO cancels (task_id, command_id, issued_at, state)
SELECT md5(n::text)::uuid::text, 'c' || n, now(), 'cancelled' FROM generate_series(1, $1::bigint) AS n
"""
_HOSTS = """
INSERT INTO hosts (name, state, seen_at, at)
SELECT 'host-' || n, 'online', now(), now() FROM generate_series(0, 96) AS n
"""


#: As many as there are of each status when the oldest tasks are as old as they get; the first one begins long ago.
_PERIODS = 7
_SPREAD = """
UPDATE periods AS p SET begins = CASE place WHEN 1 THEN '2000-01-01'
    ELSE now() - $1::bigint * interval '2 seconds' * ({0} - place + 1) / {0} END
FROM (SELECT period, row_number() OVER (PARTITION BY status ORDER BY abs(period)) AS place FROM periods) AS placed
WHERE p.period = placed.period
"""
_SECONDARY = """
SELECT format('DROP INDEX %s', i.indexrelid::regclass) AS statement
FROM pg_index AS i JOIN pg_inherits AS l ON l.inhrelid = i.indrelid WHERE NOT i.indisprimary
"""


def task_id_of(number: int) -> str:
    """The id of a task, by its number from 1."""
    return str(UUID(md5(str(number).encode(), usedforsecurity=False).hexdigest()))


async def _fill_tables(database: Database, tasks: int) -> None:
    """Fill empty tables, uncounted and without indexes; commands and cancels with a tenth as many rows.

    Two connections do it at once, as one keeps no more than one core busy.
    """
    middle = tasks // 2
    async with database.connection() as one, database.connection() as other:
        await _spread(one, tasks)
        async with _uncounted(one):
            await asyncio.gather(_add_tasks(one, tasks, 1, middle), _add_tasks(other, tasks, middle + 1, tasks))
            await asyncio.gather(_add_logs(one, True), _add_logs(other, False))
        await _add_others(one, tasks)


async def _spread(connection: Connection, tasks: int) -> None:
    """Make the periods in which so many tasks have ended, without indexes."""
    for _ in range(_PERIODS - 1):
        for status in get_args(FinishedStatus):
            await add_period(connection, status)
    await connection.execute(_SPREAD.format(_PERIODS), tasks)
    for row in await connection.fetch(_SECONDARY):
        await connection.execute(row["statement"])


@asynccontextmanager
async def _uncounted(connection: Connection) -> AsyncIterator[None]:
    await connection.execute("ALTER TABLE tasks DISABLE TRIGGER USER")
    yield
    await connection.execute("ALTER TABLE tasks ENABLE TRIGGER USER")


async def _add_tasks(connection: Connection, tasks: int, first: int, last: int) -> None:
    await connection.execute("SET synchronous_commit = off")
    await connection.execute(_TASKS, tasks, first, last, timeout=_TIMEOUT)


async def _add_logs(connection: Connection, half: bool) -> None:
    await connection.execute(_LOGS, half, timeout=_TIMEOUT)


async def _add_others(connection: Connection, tasks: int) -> None:
    for statement in (_COMMANDS, _CANCELS):
        await connection.execute(statement, tasks // 10, timeout=_TIMEOUT)
    await connection.execute(_HOSTS)
    await connection.execute("RESET synchronous_commit")


async def fill_record(database: Database, tasks: int) -> None:
    """Make the tables of the record, fill them, and make their indexes as on a record that was there before.

    It takes two connections of the database.
    """
    await migrate(database, SERVICE, MIGRATIONS)
    await convert(database)
    await _fill_tables(database, tasks)
    await complete_indexes(database)
    await migrate_online(database, ONLINE_SERVICE, ONLINE_MIGRATIONS)
    async with database.connection() as connection:
        await connection.execute("VACUUM (ANALYZE) tasks", timeout=_TIMEOUT)
        for table in ("task_logs", "commands", "cancels", "hosts"):
            await connection.execute(f"ANALYZE {table}", timeout=600.0)
