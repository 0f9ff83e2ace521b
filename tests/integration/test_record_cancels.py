"""What commands and the hosts' answers make of tasks in the record."""

from datetime import timedelta

import pytest

from signalbox.messages.base import utc_now
from signalbox.messages.commands import CancelTask, StopProcesses
from signalbox.messages.events import AnyEvent, CommandDone, HostSeen
from signalbox.messages.verdicts import Verdict
from signalbox.postgres.pool import Database
from support.history import HOST, KILLED, Life, after
from support.written_record import WrittenRecord

LIFE = Life()
RUN = LIFE.run(2)


class Record(WrittenRecord):
    """The record, written as intake, audit and sweep do."""

    async def state(self) -> str:
        return str((await self.one("commands"))["state"])


@pytest.fixture
def record(database: Database) -> Record:
    return Record(database)


def a_cancel(command_id: str = "c1", seconds: float = 3, lifetime: float = 10**9) -> CancelTask:
    issued_at = after(seconds)
    return CancelTask(
        command_id=command_id,
        issued_by="user:alice",
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=lifetime),
        task_id="t1",
    )


def done(verdict: Verdict, seconds: float = 4, host: str = HOST) -> CommandDone:
    return CommandDone(at=after(seconds), host=host, command_id="c1", verdict=verdict, task_id="t1")


def online(*hosts: str) -> list[AnyEvent]:
    return [HostSeen(at=after(1), host=host) for host in hosts]


async def test_a_cancel_shows_on_its_task_at_once(record: Record) -> None:
    await record.events(RUN.started())
    changes = await record.commands(a_cancel())
    assert {change.kind for change in changes} == {"command", "task"}
    task = await record.one("tasks")
    assert (task["status"], task["cancel_requested_at"], task["cancel_command_id"]) == ("running", after(3), "c1")


async def test_a_cancel_shows_on_a_task_that_is_told_of_later(record: Record) -> None:
    await record.commands(a_cancel())
    await record.events(RUN.started())
    assert (await record.one("tasks"))["cancel_requested_at"] == after(3)


async def test_of_two_cancels_the_first_one_is_shown_in_whatever_order_they_are_read(record: Record) -> None:
    await record.events(RUN.started())
    await record.commands(a_cancel("later", 9))
    await record.commands(a_cancel("c1", 3))
    task = await record.one("tasks")
    assert (task["cancel_command_id"], task["cancel_requested_at"]) == ("c1", after(3))


async def test_a_cancel_and_its_task_that_were_recorded_at_the_same_moment_find_each_other(record: Record) -> None:
    await record.events(RUN.started())
    await record.commands(a_cancel())
    await record.run("UPDATE tasks SET cancel_requested_at = NULL, cancel_command_id = NULL")
    await record.run("UPDATE cancels SET issued_at = now()")
    await record.sweep()
    assert (await record.one("tasks"))["cancel_command_id"] == "c1"


async def test_the_trail_says_how_a_cancel_ended(record: Record) -> None:
    await record.commands(a_cancel())
    await record.events(RUN.started(), RUN.cancelled(4), done("cancelled"))
    command = await record.one("commands")
    assert (command["state"], command["finished_at"]) == ("cancelled", after(4))


async def test_an_answer_that_comes_before_its_command_is_not_lost(record: Record) -> None:
    await record.events(RUN.started(), RUN.cancelled(4), done("cancelled"))
    await record.commands(a_cancel())
    assert await record.state() == "cancelled"
    assert (await record.one("tasks"))["cancel_requested_at"] == after(3)


async def test_a_task_whose_own_end_was_lost_ends_with_the_answer_of_its_host(record: Record) -> None:
    await record.events(RUN.started())
    await record.events(done("cancelled"))
    for table in ("tasks", "task_logs"):
        row = await record.one(table)
        assert (row["status"], row["outcome"], row["error"], row["finished_at"], row["confirmed"]) == (
            "failed",
            "cancelled",
            KILLED,
            after(4),
            True,
        )


async def test_a_task_that_had_finished_keeps_its_result(record: Record) -> None:
    await record.commands(a_cancel())
    await record.events(RUN.started(), RUN.succeeded(3))
    await record.events(done("finished"))
    assert (await record.one("tasks"))["status"] == "completed"
    assert await record.state() == "finished"


async def test_a_waiting_task_that_a_host_dropped_is_cancelled_without_a_log(record: Record) -> None:
    await record.commands(a_cancel())
    await record.events(LIFE.received(1))
    await record.events(done("dropped"))
    task = await record.one("tasks")
    assert (task["status"], task["outcome"], task["finished_at"]) == ("failed", "cancelled", after(4))


async def test_a_dropped_task_that_is_delivered_once_more_stays_cancelled(record: Record) -> None:
    await record.commands(a_cancel())
    await record.events(done("dropped"))
    await record.events(LIFE.received(9))
    assert (await record.one("tasks"))["outcome"] == "cancelled"


async def test_a_task_that_waits_for_its_retry_is_cancelled_when_no_worker_knows_it(record: Record) -> None:
    await record.events(*online("a", "b"), RUN.started(), RUN.retried(3))
    await record.commands(a_cancel())
    await record.events(done("unknown", host="a"))
    assert (await record.state(), (await record.one("tasks"))["status"]) == ("issued", "pending")
    await record.events(done("unknown", 5, host="b"))
    assert await record.state() == "dropped"
    task = await record.one("tasks")
    assert (task["status"], task["outcome"], task["error"]) == ("failed", "cancelled", KILLED)


async def test_a_running_task_is_not_cancelled_because_nobody_knows_it(record: Record) -> None:
    await record.events(*online("a"), RUN.started())
    await record.commands(a_cancel())
    await record.events(done("unknown", host="a"))
    task = await record.one("tasks")
    assert (task["status"], task["cancel_requested_at"]) == ("running", None)
    assert await record.state() == "unknown"


async def test_the_last_host_that_was_waited_for_may_leave(record: Record) -> None:
    await record.events(*online("a", "b"))
    await record.commands(a_cancel())
    await record.events(done("unknown", host="a"))
    await record.run("UPDATE hosts SET state = 'offline' WHERE name = 'b'")
    await record.sweep()
    assert await record.state() == "unknown"


async def test_a_cancel_that_came_to_nothing_is_no_longer_shown_on_the_task(record: Record) -> None:
    await record.events(RUN.started())
    await record.commands(a_cancel())
    changes = await record.events(done("unsupported"))
    assert {change.kind for change in changes} == {"command", "task"}
    assert (await record.one("tasks"))["cancel_requested_at"] is None


async def test_a_cancel_that_nobody_answered_in_time_stays_in_force(record: Record) -> None:
    await record.events(RUN.started())
    long_ago = (utc_now() - after(0)).total_seconds() - 3600
    await record.commands(a_cancel(seconds=long_ago, lifetime=60))
    assert {change.kind for change in await record.sweep()} == {"command"}
    assert await record.state() == "unproven"
    task = await record.one("tasks")
    assert (task["status"], task["cancel_command_id"]) == ("running", "c1")
    assert await record.sweep() == []
    await record.events(done("cancelled", long_ago + 3000))
    assert await record.state() == "cancelled"
    assert (await record.one("tasks"))["outcome"] == "cancelled"


async def test_a_stop_that_nobody_answered_in_time_has_expired(record: Record) -> None:
    long_ago = utc_now() - timedelta(hours=1)
    stop = StopProcesses(command_id="c1", issued_by="user:alice", issued_at=long_ago, expires_at=long_ago)
    await record.commands(stop)
    assert {change.kind for change in await record.sweep()} == {"command"}
    assert await record.state() == "expired"
    assert await record.sweep() == []


async def test_a_command_that_may_still_be_answered_has_not_expired(record: Record) -> None:
    age = (utc_now() - after(0)).total_seconds()
    await record.commands(a_cancel(seconds=age - 62, lifetime=60))
    assert await record.sweep() == []
    assert await record.state() == "issued"


async def test_an_answer_after_the_end_of_all_patience_still_counts(record: Record) -> None:
    await record.commands(a_cancel(lifetime=60))
    await record.sweep()
    await record.events(done("cancelled", 5))
    assert await record.state() == "cancelled"


async def test_a_command_that_is_read_twice_is_one_line_and_told_again_where_that_may_be_needed(record: Record) -> None:
    await record.events(RUN.started())
    first = await record.commands(a_cancel())
    assert await record.commands(a_cancel()) == []
    assert {change.key for change in await record.commands(a_cancel(), redelivered=True)} == {
        change.key for change in first
    }


async def test_events_that_are_read_twice_change_nothing_and_are_told_again_where_that_may_be_needed(
    record: Record,
) -> None:
    events = [*online(HOST), RUN.started(), RUN.cancelled(4), done("cancelled")]
    await record.commands(a_cancel())
    first = await record.events(*events)
    assert await record.events(*events) == []
    assert {change.key for change in await record.events(*events, redelivered=True)} == {change.key for change in first}


async def test_what_one_host_ended_does_not_end_what_another_one_runs(record: Record) -> None:
    elsewhere = Life(host="web-08").run(3, pid=101)
    await record.events(RUN.started(), elsewhere.started())
    await record.commands(a_cancel())
    await record.events(RUN.cancelled(4), done("cancelled", 5))
    task = await record.one("tasks")
    assert (task["status"], task["host"]) == ("running", "web-08")
