"""The chain of the trail: every line that is changed, removed, added or reordered behind its back is found."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from signalbox.messages.commands import CancelTask, ForgetHosts
from signalbox.messages.events import CommandDone, HostSeen
from signalbox.postgres.pool import Connection, Database
from signalbox.trail.append import NewLine, append
from signalbox.trail.line import End
from signalbox.trail.read import PART, read_ends, read_lines
from signalbox_reconciler.trail import BEGIN, Trail, chain_lines
from support.counting import counted
from support.history import HOST, Life, after
from support.retention import keep_round
from support.tampering import TAMPERINGS
from support.trail import fill, lines, verified
from support.written_record import WrittenRecord

LINES = 40
RUN = Life().run(2)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with database.connection() as connection:
        yield connection


async def test_a_hundred_random_changes_by_a_superuser_are_all_found(connection: Connection) -> None:
    await fill(connection, LINES)
    await connection.execute("CREATE TEMPORARY TABLE c AS SELECT * FROM trail_chain")
    assert (await verified(connection)).problem is None
    for seed in range(100):
        tampering = TAMPERINGS[seed % len(TAMPERINGS)]
        statement, number = tampering.at_random(seed, LINES)
        await connection.execute("BEGIN")
        await connection.execute(statement)
        problem = (await verified(connection)).problem
        await connection.execute("ROLLBACK")
        assert problem is not None, (seed, statement)
        assert problem.number == number, (seed, statement, problem)
    assert (await verified(connection)).verified == LINES


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE trail SET outcome = 'x' WHERE line = (SELECT line FROM c WHERE number = 7)", "was changed"),
        ("DELETE FROM trail WHERE line = (SELECT line FROM c WHERE number = 7)", "was removed: the chain has line"),
        ("DELETE FROM trail_chain WHERE number = 7", "is missing: after 6 comes 8"),
        ("DELETE FROM trail_chain WHERE number >= 7", f"is missing, and so are all up to {LINES}"),
        ("UPDATE trail_ends SET hash = '' WHERE number = 7", "the head of the chain has another hash"),
    ],
)
async def test_what_is_wrong_is_said(connection: Connection, statement: str, words: str) -> None:
    await fill(connection, 7 if "trail_ends" in statement else LINES)
    await connection.execute("CREATE TEMPORARY TABLE c AS SELECT * FROM trail_chain")
    await connection.execute(statement)
    problem = (await verified(connection)).problem
    assert problem is not None
    assert (problem.number, words in problem.what) == (7, True), problem


async def first_missed_by(connection: Connection, checkpoint: End) -> tuple[int, int]:
    """The first line on which a checkpoint differs from a chain that is whole in itself; how many checkpoints agree."""
    assert (await verified(connection)).problem is None
    found = await verified(connection, [checkpoint])
    assert found.problem is not None
    return found.problem.number, found.checkpoints


async def test_who_rewrites_the_whole_chain_is_found_by_a_checkpoint(connection: Connection) -> None:
    await fill(connection, LINES)
    checkpoint = (await read_ends(connection)).head
    await connection.execute(
        "UPDATE trail SET who = 'user:somebody else' WHERE line = (SELECT line FROM trail_chain WHERE number = 3);"
        " DELETE FROM trail_chain;"
        " UPDATE trail_ends SET number = 0, hash = decode(repeat('00', 32), 'hex');"
        " SELECT chain_trail('0', 500)"
    )
    assert await first_missed_by(connection, checkpoint) == (LINES, 0)


async def test_the_end_of_the_trail_is_missed_by_a_checkpoint(connection: Connection) -> None:
    await fill(connection, LINES)
    checkpoint = (await read_ends(connection)).head
    await connection.execute(
        "DELETE FROM trail USING trail_chain AS c WHERE c.line = trail.line AND c.number > 10;"
        " DELETE FROM trail_chain WHERE number > 10;"
        " UPDATE trail_ends AS e SET number = 10, hash = c.hash FROM trail_chain AS c"
        " WHERE c.number = 10 AND e.name = 'head'"
    )
    assert await first_missed_by(connection, checkpoint) == (11, 0)


async def test_a_checkpoint_that_agrees_is_counted(connection: Connection) -> None:
    await fill(connection, 3)
    early = (await read_ends(connection)).head
    await fill(connection, 3)
    found = await verified(connection, [early, (await read_ends(connection)).head])
    assert (found.problem, found.verified, found.checkpoints) == (None, 6, 2)


async def test_a_line_of_a_role_that_may_not_write_is_found(connection: Connection) -> None:
    await fill(connection, 2)
    found = await verified(connection, writers=["signalbox_api"])
    assert found.problem is not None
    assert "which may not" in found.problem.what
    writer = await connection.fetchval("SELECT session_user")
    assert (await verified(connection, writers=[writer])).problem is None


async def test_lines_that_are_not_chained_yet_are_counted_and_so_are_gaps(connection: Connection) -> None:
    await fill(connection, 2)
    await connection.execute("BEGIN")
    await append(connection, NewLine(kind="test", who="nobody"))
    await connection.execute("ROLLBACK")
    await append(connection, NewLine(kind="test", who="user:alice"))
    found = await verified(connection)
    assert (found.problem, found.verified, found.unchained, found.gaps) == (None, 2, 1, 1)


async def test_a_line_that_is_committed_late_is_chained_after_those_that_came_first(database: Database) -> None:
    async with database.connection() as early, database.connection() as late:
        await late.execute("BEGIN")
        await append(late, NewLine(kind="test", who="late"))
        await append(early, NewLine(kind="test", who="early"))
        first = await chain_lines(early, BEGIN)
        await late.execute("COMMIT")
        second = await chain_lines(early, first.since)
        assert (first.lines, second.lines) == (1, 1)
        assert [line.who async for line in lines(early)] == ["early", "late"]
        assert (await verified(early)).problem is None
        await append(early, NewLine(kind="test", who="last"))
        assert (await chain_lines(early, second.since)).lines == 1


async def test_two_reconcilers_do_not_chain_at_the_same_time(database: Database) -> None:
    async with database.connection() as one, database.connection() as other:
        await append(one, NewLine(kind="test", who="user:alice"))
        await one.execute("BEGIN")
        assert (await chain_lines(one, BEGIN)).lines == 1
        assert await chain_lines(other, BEGIN) == (0, BEGIN)
        await one.execute("COMMIT")
        assert (await chain_lines(other, BEGIN)).lines == 0


async def test_many_lines_are_chained_and_read_part_by_part(database: Database, connection: Connection) -> None:
    count = 2 * PART + 1
    await connection.execute(
        "SELECT append_trail('test', 'user:' || n, '', '', '', '') FROM generate_series(1, $1::integer) AS n", count
    )
    await Trail(database).round()
    found = await verified(connection)
    assert (found.problem, found.verified, found.unchained) == (None, count, 0)
    parts = read_lines(lambda query: query(connection))
    assert [len(part) async for part in parts] == [PART, PART, 1]


async def test_what_retention_removed_does_not_hinder_the_verification_of_what_is_left(
    database: Database, connection: Connection
) -> None:
    await fill(connection, 10)
    await connection.execute(
        "UPDATE trail SET at = at - interval '366 days' WHERE line IN (SELECT line FROM trail_chain WHERE number < 7);"
        " DELETE FROM trail_chain; UPDATE trail_ends SET number = 0, hash = decode(repeat('00', 32), 'hex');"
        " SELECT chain_trail('0', 500)"
    )
    await keep_round(database, commands=timedelta(days=365))
    found = await verified(connection)
    assert (found.problem, found.verified) == (None, 4)
    assert (await read_ends(connection)).cut.number == 6
    await fill(connection, 1)
    assert (await verified(connection)).verified == 5
    await connection.execute("UPDATE trail_ends SET number = 5 WHERE name = 'cut'")
    assert (await verified(connection)).problem is not None


async def test_retention_removes_nothing_that_is_younger_than_a_day(connection: Connection) -> None:
    await fill(connection, 1)
    with pytest.raises(Exception, match="for a day at least"):
        await connection.fetchval("SELECT cut_trail('1 hour', 1000)")


async def test_a_command_and_its_outcome_are_two_lines_without_any_more_round_trips(database: Database) -> None:
    record = WrittenRecord(database)
    cancel = CancelTask(
        command_id="c1",
        task_id=Life().task_id,
        issued_by="user:alice",
        issued_from="10.0.0.1",
        issued_at=after(3),
        expires_at=after(60),
        reason='a "reason"',
    )
    await record.events(Life().received(1), RUN.started())
    await record.commands(cancel)
    done = CommandDone(at=after(4), host=HOST, command_id="c1", verdict="cancelled", task_id=Life().task_id)
    await record.events(RUN.cancelled(4), done)
    await record.events(RUN.cancelled(4), done, redelivered=True)
    await record.commands(cancel, redelivered=True)
    async with counted(database) as connection:
        await chain_lines(connection, BEGIN)
        found = [line async for line in lines(connection)]
    assert [(line.kind, line.who, line.address, line.about, line.outcome) for line in found] == [
        ("command", "user:alice", "10.0.0.1", Life().task_id, "issued"),
        ("outcome", "user:alice", "10.0.0.1", Life().task_id, "cancelled"),
    ]
    assert '"reason" : "a \\"reason\\""' in found[0].details


async def test_a_host_that_is_forgotten_is_a_line(database: Database) -> None:
    record = WrittenRecord(database)
    await record.events(HostSeen(at=after(1), host=HOST))
    await record.run("UPDATE hosts SET state = 'unknown'")
    forget = ForgetHosts(command_id="c1", issued_by="user:bob", issued_at=after(3), expires_at=after(60), hosts=(HOST,))
    await record.commands(forget)
    rows = await record.rows("SELECT * FROM trail ORDER BY line")
    found = [(row["kind"], row["who"], row["about"], row["outcome"]) for row in rows]
    assert ("host", "service:reconciler", HOST, "forgotten") in found
    assert ("command", "user:bob", HOST, "issued") in found
    assert ("outcome", "user:bob", HOST, "forgotten") in found
