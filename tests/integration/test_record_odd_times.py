"""A run with a time at which there were no clocks does not make its host unreadable for ever."""

from datetime import UTC, datetime

from msgspec.structs import replace

from signalbox.messages.events import HostSeen
from signalbox.postgres.pool import Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.store import write_batch
from support.history import HOST, Life, after


async def test_heartbeats_are_still_written(database: Database) -> None:
    started = replace(Life().run(0).started(), at=datetime.min.replace(tzinfo=UTC))
    for event in (started, HostSeen(at=after(60), host=HOST)):
        async with database.transaction() as connection:
            await write_batch(connection, fold([event]))
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT at FROM hosts") == after(60)
        assert await connection.fetchval("SELECT missing_since FROM task_logs") == after(60)
