"""Two reconcilers that change runs of one id at the same moment: its task shows the liveliest run of both."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from signalbox.messages.events import AnyEvent, CommandDone, HostSeen
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.store import ChangedViews, write_batch
from signalbox_reconciler.store.hosts import LEFT, lock_confirmed, mark_unknown
from signalbox_reconciler.store.lost import HOST_SILENT, mark_lost
from support.eventually import eventually
from support.history import HOST, Life, after

LIFE, ELSEWHERE = Life(), Life(host="web-08")
FIRST, SECOND = LIFE.run(2), ELSEWHERE.run(22, pid=101)

Change = Callable[[Connection], Awaitable[object]]


async def given_up(connection: Connection) -> None:
    await mark_lost(connection, {("t1", FIRST.key): after(30)}, HOST_SILENT, ChangedViews())


async def silent(connection: Connection) -> None:
    changed = ChangedViews()
    await mark_unknown(connection, [HOST], LEFT, await lock_confirmed(connection, [HOST], changed), changed)


def told(*events: AnyEvent) -> Change:
    async def write(connection: Connection) -> None:
        await write_batch(connection, fold(events))

    return write


CANCELLED = CommandDone(at=after(30), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
#: How another reconciler changes the first run, and what must have been told of it before.
CHANGES = {
    "given up": (given_up, ()),
    "silent host": (silent, ()),
    "reported as cancelled": (told(CANCELLED), ()),
    "listed": (told(HostSeen(at=after(60), host=HOST, running=(("t1", FIRST.key),))), ("given up",)),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_run_that_begins_while_another_is_given_up_elsewhere_is_shown(database: Database, change: str) -> None:
    apply, before = CHANGES[change]
    for step in (told(FIRST.started()), *(CHANGES[name][0] for name in before)):
        async with database.transaction() as connection:
            await step(connection)

    async with database.transaction() as beginning:
        await write_batch(beginning, fold([SECOND.started()]))
        other = asyncio.create_task(_apply(database, apply))
        await eventually(lambda: _waits(database), "the other waits for this transaction")
    await other

    async with database.connection() as connection:
        [shown] = await connection.fetch("SELECT run, status, confirmed FROM tasks")
    assert (shown["run"], shown["status"], shown["confirmed"]) == (SECOND.key, "running", True)


async def _apply(database: Database, change: Change) -> None:
    async with database.transaction() as connection:
        await change(connection)


async def _waits(database: Database) -> bool:
    async with database.connection() as connection:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
