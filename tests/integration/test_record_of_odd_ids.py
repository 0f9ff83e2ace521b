"""The record of tasks whose ids and names are longer than an index takes, or hold what PostgreSQL does not store."""

from typing import Any

import msgspec
import pytest

from signalbox.messages.codec import decode_event, encode
from signalbox.messages.commands import AllowTask, CancelTask
from signalbox.messages.events import AnyEvent, CommandDone, HostSeen
from signalbox.messages.ids import printable, task_key
from signalbox.postgres.pool import Database
from signalbox_reconciler.feed import without_nul
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.commands import audit
from signalbox_reconciler.store import write_batch, write_commands
from signalbox_reconciler.store.verdicts import intents
from support.history import HOST, Life, after
from support.odd_ids import LONG_NAME, ODD_IDS


async def write(database: Database, *events: AnyEvent) -> None:
    """Write events as they come from the bus."""
    read = [decode_event(without_nul(encode(event))) for event in events]
    async with database.transaction() as connection:
        await write_batch(connection, fold(read))


async def test_every_table_takes_any_id_and_name(database: Database) -> None:
    """In one batch, which one bad row would spoil."""
    lives = [Life(task_id) for task_id in ODD_IDS.values()]
    heading: dict[str, Any] = {"issued_by": "user:ann", "issued_at": after(3), "expires_at": after(10_000)}
    for life in lives:
        run = life.run(2)
        cancel = CancelTask(command_id=f"c {life.task_id[:99]}", task_id=life.task_id, **heading)
        allow = AllowTask(command_id=f"a {life.task_id[:99]}", task_id=life.task_id, **heading)
        done = CommandDone(
            at=after(5), host=HOST, command_id=cancel.command_id, verdict="cancelled", task_id=life.task_id
        )
        received = msgspec.structs.replace(life.received(1), name=LONG_NAME)
        seen = HostSeen(at=after(4), host=HOST, running=((life.task_id, run.key),))
        await write(database, received, msgspec.structs.replace(run.started(), name=LONG_NAME), seen)
        async with database.transaction() as connection:
            rows = [msgspec.structs.replace(audit(one), command_id=task_key(one.command_id)) for one in (cancel, allow)]
            await write_commands(connection, rows[:1])
            assert task_key(life.task_id) in await intents(connection, 10.0**10, 100)
            await write_commands(connection, rows[1:])
        await write(database, done, run.cancelled(6))
    async with database.connection() as connection:
        found = await connection.fetch(
            "SELECT task_id, full_id, name, outcome FROM tasks JOIN task_logs USING (task_id, outcome)"
        )
    expected = {
        task_key(one): (None if task_key(one) == one else printable(one), LONG_NAME[:200]) for one in ODD_IDS.values()
    }
    assert {row["task_id"]: (row["full_id"], row["name"][:200]) for row in found} == expected
    assert {row["outcome"] for row in found} == {"cancelled"}


@pytest.mark.parametrize("order", ["in order", "end first"])
async def test_the_whole_id_is_kept_in_whichever_order_its_events_come(database: Database, order: str) -> None:
    life = Life("x" * 3000)
    run = life.run(2)
    events: list[AnyEvent] = [life.received(1), run.started(), run.succeeded(5)]
    for event in events if order == "in order" else events[::-1]:
        await write(database, event)
    async with database.connection() as connection:
        [row] = await connection.fetch("SELECT full_id, status FROM tasks")
    assert tuple(row) == ("x" * 3000, "completed")
