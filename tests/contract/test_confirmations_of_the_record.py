"""What the record confirms to a host is what was committed, whoever wrote it and in whatever order."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import permutations

from signalbox.bus.confirmations import Confirmation
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.fold.confirmations import Arrived, Ranges
from signalbox_reconciler.store.confirmations import add_confirmations, forget_epochs, hosts_with_missing_events


async def add(
    database: Database, ranges: Ranges, *, announced: int = 0, epoch: str = "e1", host: str = "h"
) -> Sequence[Confirmation]:
    arrived = Arrived(epoch=epoch, host=host if announced else "", ranges=ranges, announced=announced)
    async with database.transaction() as connection:
        return await add_confirmations(connection, [arrived])


@asynccontextmanager
async def uncommitted(database: Database, ranges: Ranges) -> AsyncIterator[Connection]:
    """Another reconciler, which commits at the end of the block."""
    async with database.transaction() as connection:
        await add_confirmations(connection, [Arrived(epoch="e1", ranges=ranges)])
        yield connection


async def missing(database: Database, *epochs: str) -> set[str]:
    async with database.connection() as connection:
        return await hosts_with_missing_events(connection, epochs)


async def test_batches_add_up_in_any_order_and_twice(database: Database) -> None:
    for place, order in enumerate(permutations([[(1, 4)], [(4, 6), (8, 9)], [(6, 8)]])):
        for ranges in (*order, *order):
            [last] = await add(database, ranges, epoch=f"e{place}")
        assert last == Confirmation(epoch=f"e{place}", confirmed=8)


async def test_a_hole_confirms_nothing_behind_it_until_it_is_filled(database: Database) -> None:
    assert await add(database, [(1, 3), (4, 6)]) == [Confirmation(epoch="e1", confirmed=2)]
    assert await add(database, [(3, 4)]) == [Confirmation(epoch="e1", confirmed=5)]


async def test_what_another_reconciler_has_not_committed_is_not_confirmed(database: Database) -> None:
    await add(database, [(1, 3)], announced=2)
    async with uncommitted(database, [(7, 9)]):
        pass
    assert await add(database, []) == [Confirmation(epoch="e1", confirmed=2)]


async def test_what_a_heartbeat_announced_is_missing_from_the_next_one_on(database: Database) -> None:
    assert await add(database, [(1, 3)], announced=5) == [Confirmation(epoch="e1", confirmed=2)]
    assert await missing(database, "e1") == {"h"}
    assert await add(database, [], announced=6) == [Confirmation(epoch="e1", confirmed=2, missing_up_to=5)]
    assert await add(database, [(3, 7)], announced=6) == [Confirmation(epoch="e1", confirmed=6)]
    assert await missing(database, "e1") == set()


async def test_an_epoch_without_heartbeats_is_forgotten_in_the_end(database: Database) -> None:
    await add(database, [(1, 3)], announced=5)
    async with database.connection() as connection:
        await forget_epochs(connection)
        assert await connection.fetch("SELECT epoch FROM host_confirmations")
        await connection.execute("UPDATE host_confirmations SET updated_at = now() - interval '8 days'")
        await forget_epochs(connection)
        assert not await connection.fetch("SELECT epoch FROM host_confirmations")
