"""No query of the api reads more the longer the record gets: by its plan over a record with many tasks.

200,000 tasks here, with SIGNALBOX_PLAN_ROWS=1000000 (`make plans`) a million. The plans are the same: what is rare and
what is common are shares of the whole, and an index wins over a sequential scan at a hundredth of that already.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
import pytest_asyncio

from signalbox.messages.base import utc_now
from signalbox.postgres.pool import PLANNED_ONCE, Connection, Database, open_database
from signalbox_api.app import LIST_OPTIONS
from signalbox_api.record import search, views
from signalbox_api.record.cursor import Cursor
from signalbox_api.record.task_filter import TaskFilter, is_search
from signalbox_api.record.task_lists import list_tasks, match_tasks
from support.examples import LONG
from support.filled_record import fill_record
from support.plans import Explained, complaints
from support.stores.databases import a_database
from support.stores.server import Postgres

ROWS = int(os.environ.get("SIGNALBOX_PLAN_ROWS", "200000"))
#: Of which tasks are made, see `support.filled_record`; None: any.
VALUES: Mapping[str, tuple[Any, ...]] = {
    "status": (None, "pending", "running", "completed", "failed"),
    "name": (None, "task_3", "name-rare", "retired", "no such", "shop.orders.task_3", "shop.mail.name-rare", "no.such"),
    "host": (None, "host-3", "host-rare", "no such"),
    "queue": (None, "queue-3", "queue-rare", "no such"),
    "outcome": (None, "succeeded", "error", "cancelled", "worker_lost", "time_limit"),
    "older_than": (None, 0.0, ROWS * 1.0, ROWS * 3.0),
}
#: Texts that nothing has, few tasks have, and most have.
TEXTS = (
    "no such text",
    "task_3",
    "orders",
    "RETIRED",
    "rare",
    "order-4711",
    "item 4720 in",
    "no stock",
    "EUR",
    "ab",
    "%_",
)

Query = Callable[[Connection], Awaitable[object]]

pytestmark = [pytest.mark.timeout(LONG), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled_url(postgres_server: Postgres) -> AsyncIterator[str]:
    async with a_database(postgres_server) as name:
        url = postgres_server.url_of(name)
        async with open_database(url, connections=2, timeout=3600.0) as database:
            await fill_record(database, ROWS)
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lists(filled_url: str) -> AsyncIterator[Database]:
    """As the api connects for lists."""
    async with open_database(filled_url, connections=1, options=LIST_OPTIONS) as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(filled_url: str) -> AsyncIterator[Database]:
    """As the api connects for what is found by its key."""
    async with open_database(filled_url, connections=1, options=PLANNED_ONCE) as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def searches(filled_url: str) -> AsyncIterator[Database]:
    """As the api connects for searches, with more time for EXPLAIN."""
    options = {**search.OPTIONS, "statement_timeout": "60000"}
    async with open_database(filled_url, connections=1, timeout=60.0, options=options) as database:
        yield database


async def problems(database: Database, query: Query) -> list[str]:
    """What is wrong with the plans of a query."""
    async with database.connection() as connection:
        explained = Explained(connection)
        await query(explained)
    assert explained.plans
    return [f"{text}: {complaint}" for text, plan in explained.plans for complaint in complaints(plan)]


def alone_and_with_a_status() -> list[TaskFilter]:
    """Each filter alone, with each value of it, and with each status."""
    chosen = {TaskFilter()}
    for (name, values), status in product(VALUES.items(), VALUES["status"]):
        chosen |= {TaskFilter(**{"status": status, name: value}) for value in values}
    return sorted(chosen, key=str)


def described(filters: TaskFilter) -> str:
    given = ((name, getattr(filters, name)) for name in (*VALUES, "q"))
    return " ".join(f"{name}={value}" for name, value in given if value is not None) or "all"


@pytest.mark.parametrize("filters", alone_and_with_a_status(), ids=described)
async def test_a_list_reads_what_it_shows(lists: Database, searches: Database, filters: TaskFilter) -> None:
    database = searches if is_search(filters) else lists
    halfway = Cursor(utc_now() - timedelta(seconds=ROWS), "8")
    found = await problems(database, lambda connection: list_tasks(connection, filters, 50, None))
    found += await problems(database, lambda connection: list_tasks(connection, filters, 50, halfway))
    assert found == []


@pytest.mark.parametrize("text", TEXTS)
async def test_a_search_reads_little_more_than_it_finds(searches: Database, text: str) -> None:
    found = await problems(searches, lambda connection: list_tasks(connection, TaskFilter(q=text), 50, None))
    assert found == []


async def test_a_search_for_a_whole_id_looks_at_one_task(searches: Database) -> None:
    async with searches.connection() as connection:
        task_id = await connection.fetchval("SELECT task_id FROM tasks OFFSET 1000 LIMIT 1")
    filters = TaskFilter(q=task_id.upper())
    assert await problems(searches, lambda connection: list_tasks(connection, filters, 50, None)) == []


@pytest.mark.parametrize(
    "filters",
    [
        TaskFilter(unfinished=True, status="running"),
        TaskFilter(unfinished=True, host="host-3"),
        TaskFilter(unfinished=True, host="host-rare"),
        TaskFilter(unfinished=True, name="task_3"),
        TaskFilter(unfinished=True, name="retired"),
        TaskFilter(unfinished=True, queue="queue-3"),
        TaskFilter(unfinished=True, older_than=60.0),
        TaskFilter(unfinished=True, q="task_3"),
        TaskFilter(unfinished=True, q="order-"),
        TaskFilter(unfinished=True, q="no such text"),
        TaskFilter(unfinished=True, task_ids=("no such", "c4ca4238-a0b9-2382-0dcc-509a6f75849b")),
    ],
    ids=described,
)
async def test_a_cancel_of_many_reads_open_tasks_only(lists: Database, searches: Database, filters: TaskFilter) -> None:
    database = searches if is_search(filters) else lists
    assert await problems(database, lambda connection: match_tasks(connection, filters, 100)) == []


ONE = "c4ca4238-a0b9-2382-0dcc-509a6f75849b"
OTHERS: Mapping[str, Query] = {
    "one task": lambda connection: views.find_task(connection, ONE),
    "many tasks": lambda connection: views.find_tasks(connection, [ONE, "no such"]),
    "a refused task": lambda connection: views.find_refused(connection, ONE),
    "unfinished tasks": lambda connection: views.unfinished_of(connection, [ONE]),
    "logs": lambda connection: views.list_logs(connection, ONE),
    "runs": lambda connection: views.list_runs(connection, ONE),
    "the audit trail": lambda connection: views.list_commands(connection, 50, None),
    "the audit trail, further": lambda connection: views.list_commands(connection, 50, Cursor(utc_now(), "c7")),
    "the fleet": views.read_fleet,
    "the heartbeat": views.last_heartbeat,
}


@pytest.mark.parametrize("query", OTHERS.values(), ids=OTHERS)
async def test_every_other_query_goes_by_an_index(keys: Database, query: Query) -> None:
    assert await problems(keys, query) == []
