"""A record as a release before partitions left it: plain tables, filled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from signalbox.postgres.migrate import migrate
from signalbox.postgres.pool import Database, open_database
from signalbox_reconciler.service import MIGRATIONS, SERVICE
from support.stores.databases import a_database
from support.stores.server import Postgres

#: Every tenth task is open: it runs. Of the others every fifth has failed.
_TASKS = """
INSERT INTO tasks (task_id, run, phase, confirmed, precedence, status, outcome, retries, host, worker, finished_at,
    started_at, pid, details_key, name, celery_name, queue, args, kwargs, created_at, attempt)
SELECT 'old-' || n, '0000.1772366402000.abcdef12.100', CASE WHEN open THEN 2 ELSE 4 END, true, 1,
    CASE WHEN open THEN 'running' WHEN n % 5 = 0 THEN 'failed' ELSE 'completed' END,
    CASE WHEN open THEN NULL WHEN n % 5 = 0 THEN 'error' ELSE 'succeeded' END, 0, 'web-07', 'worker@web-07',
    CASE WHEN NOT open THEN at END, at, 100, '1', 'charge', 'shop.orders.charge', 'orders', '()', '{}', at, 1
FROM (
    SELECT n, n % 10 = 1 AS open, now() - n * interval '1 minute' AS at FROM generate_series(1, $1::integer) AS n
) AS made
"""
_LOGS = """
INSERT INTO task_logs (task_id, run, attempt, phase, confirmed, precedence, status, outcome, retries, host, worker, pid,
    started_at, finished_at)
SELECT task_id, run, 1, phase, true, 1, status, outcome, 0, host, worker, pid, started_at, finished_at FROM tasks
"""


@asynccontextmanager
async def an_old_record(server: Postgres, tasks: int) -> AsyncIterator[tuple[str, Database]]:
    """Its address and a pool; the tables are up to date but for the partitions."""
    async with a_database(server) as name:
        url = server.url_of(name)
        async with open_database(url) as database:
            await migrate(database, SERVICE, MIGRATIONS)
            async with database.connection() as connection:
                await connection.execute(_TASKS, tasks)
                await connection.execute(_LOGS)
            yield url, database
