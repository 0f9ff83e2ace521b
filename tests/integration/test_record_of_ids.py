"""Ids that are used again, in the record: what waits, what was refused, and what a release changes."""

from datetime import timedelta

import msgspec
import pytest

from signalbox.messages.commands import AllowTask, AnyCommand, CancelTask
from signalbox.messages.events import CommandDone, HostSeen, TaskDropped, TaskReceived, TaskStarted
from signalbox.postgres.pool import Database
from signalbox_reconciler.store.verdicts import intents
from support.history import HOST, Life, Run, after
from support.written_record import Row, WrittenRecord

LIFE = Life()
FIRST, SECOND = LIFE.run(2), LIFE.run(22, pid=101)


class Record(WrittenRecord):
    """The record, written as intake, audit and sweep do."""

    async def swept(self, *commands: AnyCommand) -> None:
        await self.commands(*commands)
        await self.sweep()

    async def task(self) -> Row:
        return await self.one("tasks")

    async def status(self) -> str:
        return str((await self.task())["status"])

    async def logs(self) -> list[tuple[str, str | None]]:
        rows = await self.rows("SELECT status, outcome FROM task_logs ORDER BY attempt")
        return [(row["status"], row["outcome"]) for row in rows]

    async def intents(self) -> set[str]:
        async with self.database.connection() as connection:
            return set(await intents(connection, 10.0**10, 10))


@pytest.fixture
def record(database: Database) -> Record:
    return Record(database, remember_cancelled=10.0**10)


def received(seconds: float, number: int, *, again: bool = False) -> TaskReceived:
    """As an agent reports that names its deliveries."""
    delivery = f"0000.{round(after(seconds).timestamp() * 1000):013d}.abcdef01.{'r' if again else 'w'}{number}"
    return msgspec.structs.replace(LIFE.received(seconds), run=delivery, delivery=delivery)


def started(run: Run, delivery: TaskReceived) -> TaskStarted:
    return msgspec.structs.replace(run.started(), delivery=delivery.run)


def refused(seconds: float, delivery: TaskReceived) -> TaskDropped:
    return msgspec.structs.replace(LIFE.dropped(seconds), run=delivery.run, delivery=delivery.run, error="refused")


def a_command(kind: type[CancelTask | AllowTask], command_id: str, seconds: float) -> CancelTask | AllowTask:
    issued_at, expires_at = after(seconds), after(seconds) + timedelta(days=10_000)
    return kind(command_id=command_id, issued_by="user:alice", issued_at=issued_at, expires_at=expires_at, task_id="t1")


def a_cancel(seconds: float, command_id: str = "c1") -> CancelTask | AllowTask:
    return a_command(CancelTask, command_id, seconds)


def a_release(seconds: float, command_id: str = "a1") -> CancelTask | AllowTask:
    return a_command(AllowTask, command_id, seconds)


async def test_an_id_that_was_sent_again_waits_runs_and_ends_anew(record: Record) -> None:
    one, two = received(1, 1), received(20, 2)
    await record.events(one, started(FIRST, one), FIRST.succeeded(5))
    await record.events(two)
    assert await record.status() == "pending"
    await record.events(started(SECOND, two))
    assert await record.status() == "running"
    await record.events(SECOND.failed(30))
    assert await record.status() == "failed"
    assert await record.logs() == [("completed", "succeeded"), ("failed", "error")]


async def test_what_waited_in_a_worker_that_died_waits_no_more_when_it_was_redelivered(record: Record) -> None:
    one, two = received(1, 1), received(20, 2, again=True)
    await record.events(one)
    await record.events(two, started(SECOND, two), msgspec.structs.replace(SECOND.succeeded(30), delivery=two.run))
    assert await record.status() == "completed"
    await record.events(one)  # told again
    assert await record.status() == "completed"


async def test_a_delivery_that_was_refused_is_a_log_that_says_why(record: Record) -> None:
    one, two = received(1, 1), received(20, 2)
    await record.events(HostSeen(at=after(0), host=HOST), one, started(FIRST, one), FIRST.cancelled(5))
    await record.swept(a_cancel(4))
    await record.events(two)
    await record.events(refused(20, two))
    task = await record.task()
    assert (task["status"], task["outcome"], task["error"], task["finished_at"]) == (
        "failed",
        "cancelled",
        "refused",
        after(20),
    )
    assert await record.logs() == [("failed", "cancelled"), ("failed", "cancelled")]


@pytest.mark.parametrize("recorded", ["cancel first", "release first"])
async def test_an_id_that_was_released_runs_again_and_shows_no_cancel(record: Record, recorded: str) -> None:
    one, two = received(1, 1), received(20, 2)
    done = CommandDone(at=after(5), host=HOST, command_id="c1", verdict="cancelled", task_id="t1")
    await record.events(HostSeen(at=after(0), host=HOST), one, started(FIRST, one), FIRST.cancelled(5), done)
    commands = [a_cancel(4), a_release(10)]
    for command in commands if recorded == "cancel first" else commands[::-1]:
        await record.swept(command)
    assert await record.intents() == set()
    task = await record.task()
    assert (task["outcome"], task["cancel_command_id"]) == ("cancelled", "c1")

    await record.events(two)
    task = await record.task()
    assert (task["status"], task["cancel_requested_at"]) == ("pending", None)
    await record.events(started(SECOND, two))
    task = await record.task()
    assert (task["status"], task["cancel_requested_at"]) == ("running", None)


async def test_a_cancel_after_a_release_holds(record: Record) -> None:
    one = received(20, 1)
    await record.swept(a_cancel(4), a_release(10))
    await record.events(one)
    assert await record.status() == "pending"
    await record.swept(a_cancel(30, "c2"))
    assert await record.intents() == {"t1"}
    assert (await record.task())["cancel_command_id"] == "c2"


async def test_a_release_is_on_the_audit_trail_with_what_became_of_it(record: Record, database: Database) -> None:
    await record.events(HostSeen(at=after(0), host=HOST))
    await record.swept(a_release(10))
    await record.events(CommandDone(at=after(11), host=HOST, command_id="a1", verdict="allowed"))
    async with database.connection() as connection:
        [row] = await connection.fetch("SELECT command, target, state FROM commands")
    assert tuple(row) == ("AllowTask", "t1", "allowed")
