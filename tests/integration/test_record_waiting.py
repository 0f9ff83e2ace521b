"""What becomes of a waiting task in the record when its hosts see it, miss it, or say nothing."""

from datetime import datetime
from typing import Any

import msgspec
import pytest

from signalbox.bus.waiting import Question
from signalbox.messages.base import ProcessState
from signalbox.messages.events import HostSeen, ProcessChanged, WaitingCompared
from signalbox.postgres.pool import Database
from signalbox_reconciler.store import ChangedViews
from signalbox_reconciler.store.waiting import DISCARDED, TASKS, begin_round, judge_rounds
from support.history import HOST, Life, after
from support.written_record import WrittenRecord

LIFE = Life()
OTHER = "web-08"


class Record(WrittenRecord):
    """The record, written as intake and sweep do."""

    async def round(self) -> Question | None:
        """The question of a round, as if all that waits were due."""
        async with self.database.transaction() as connection:
            await connection.execute("UPDATE tasks SET asked_at = asked_at - interval '30 seconds'")
            await connection.execute("UPDATE tasks SET vouched_at = vouched_at - interval '30 seconds'")
            await connection.execute("UPDATE tasks SET absent_since = absent_since - interval '30 seconds'")
            await connection.execute("UPDATE waiting_rounds SET asked_at = asked_at - interval '30 seconds'")
        async with self.database.transaction() as connection:
            return await begin_round(connection)

    async def answers(self, question: Question | None, *, seen: str = "", absent: str = "", host: str = HOST) -> None:
        assert question is not None
        await self.events(compared(question.asked_at, seen=seen, absent=absent, host=host))

    async def judge(self) -> dict[str, Any]:
        """The task after the rounds were judged."""
        async with self.database.transaction() as connection:
            await judge_rounds(connection, ChangedViews())
        return await self.one("tasks")

    async def missed_in_a_round(self) -> dict[str, Any]:
        await self.answers(await self.round(), absent="t1")
        return await self.judge()

    async def wait(self, seconds: int) -> None:
        """Let rounds and what was asked in them grow old."""
        async with self.database.transaction() as connection:
            for table in ("tasks", "waiting_rounds"):
                await connection.execute(
                    f"UPDATE {table} SET asked_at = asked_at - make_interval(secs => $1)",  # noqa: S608 - ours
                    seconds,
                )
            await connection.execute("UPDATE tasks SET vouched_at = vouched_at - make_interval(secs => $1)", seconds)


@pytest.fixture
async def record(database: Database) -> Record:
    record = Record(database)
    await record.events(HostSeen(at=after(0), host=HOST), LIFE.received(0))
    return record


def compared(asked_at: datetime, *, seen: str = "", absent: str = "", host: str = HOST) -> WaitingCompared:
    return WaitingCompared(
        at=after(1), host=host, asked_at=asked_at, seen=tuple(seen.split()), absent=tuple(absent.split())
    )


def worker(host: str, state: ProcessState) -> ProcessChanged:
    return ProcessChanged(at=after(0), host=host, name="worker", kind="worker", state=state, desired="running")


async def test_what_waits_is_asked_about_with_its_host_and_worker(record: Record) -> None:
    question = await record.round()
    assert question is not None
    [task] = question.tasks
    assert (task.task_id, task.host, task.worker, task.queue, task.retried) == (
        "t1",
        HOST,
        f"worker@{HOST}",
        "orders",
        False,
    )


async def test_a_task_that_waits_for_its_retry_is_asked_about_as_such(record: Record) -> None:
    await record.events(LIFE.run(2).started(), LIFE.run(2).retried(3))
    question = await record.round()
    assert question is not None
    assert [task.retried for task in question.tasks] == [True]


async def test_what_runs_or_has_just_come_is_not_asked_about(record: Record, database: Database) -> None:
    async with database.transaction() as connection:
        assert await begin_round(connection) is None
    await record.events(LIFE.run(2).started())
    assert await record.round() is None


async def test_what_two_rounds_have_missed_is_discarded(record: Record) -> None:
    assert (await record.missed_in_a_round())["status"] == "pending"
    task = await record.missed_in_a_round()
    assert (task["status"], task["outcome"], task["error"], task["confirmed"]) == (
        "failed",
        "discarded",
        DISCARDED,
        True,
    )


async def test_one_round_judged_twice_is_one_round(record: Record) -> None:
    await record.missed_in_a_round()
    assert (await record.judge())["status"] == "pending"


async def test_what_somebody_saw_in_between_begins_anew(record: Record) -> None:
    await record.missed_in_a_round()
    await record.answers(await record.round(), seen="t1")
    assert (await record.judge())["status"] == "pending"
    assert (await record.missed_in_a_round())["status"] == "pending"
    assert (await record.missed_in_a_round())["outcome"] == "discarded"


async def test_what_another_host_saw_is_not_discarded(record: Record) -> None:
    await record.events(HostSeen(at=after(0), host=OTHER))
    for _ in range(3):
        question = await record.round()
        await record.answers(question, absent="t1")
        await record.answers(question, seen="t1", host=OTHER)
        task = await record.judge()
        assert (task["status"], task["confirmed"]) == ("pending", True)


async def test_a_host_that_has_not_answered_keeps_it_pending_and_it_is_not_confirmed(record: Record) -> None:
    await record.events(HostSeen(at=after(0), host=OTHER))
    for _ in range(3):
        await record.answers(await record.round(), absent="t1")
        assert (await record.judge())["status"] == "pending"
    await record.wait(16)
    assert (await record.judge())["confirmed"] is False


async def test_a_silent_host_with_a_worker_keeps_it_pending(record: Record, database: Database) -> None:
    await record.events(HostSeen(at=after(0), host=OTHER), worker(OTHER, "running"))
    async with database.connection() as connection:
        await connection.execute("UPDATE hosts SET state = 'unknown' WHERE name = $1", OTHER)
    for _ in range(3):
        assert (await record.missed_in_a_round())["status"] == "pending"
    async with database.connection() as connection:
        await connection.execute("UPDATE processes SET state = 'stopped'")
    await record.missed_in_a_round()
    assert (await record.missed_in_a_round())["outcome"] == "discarded"


async def test_only_the_host_that_had_it_can_miss_it(record: Record) -> None:
    await record.events(HostSeen(at=after(0), host=OTHER))
    for _ in range(3):
        question = await record.round()
        await record.answers(question)
        await record.answers(question, absent="t1", host=OTHER)
        assert (await record.judge())["status"] == "pending"


async def test_what_nobody_vouches_for_is_confirmed_as_soon_as_somebody_does(record: Record) -> None:
    question = await record.round()
    await record.wait(16)
    assert (await record.judge())["confirmed"] is False
    question = await record.round()
    await record.answers(question, seen="t1")
    assert (await record.judge())["confirmed"] is True


async def test_what_was_only_told_is_not_confirmed_by_being_held_and_its_end_is_not_either(
    record: Record, database: Database
) -> None:
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM tasks; DELETE FROM task_waits")
    await record.events(msgspec.structs.replace(LIFE.received(0), certainty="told"))
    await record.answers(await record.round(), seen="t1")
    assert (await record.judge())["confirmed"] is False
    await record.missed_in_a_round()
    task = await record.missed_in_a_round()
    assert (task["outcome"], task["confirmed"]) == ("discarded", False)


async def test_a_discarded_task_whose_message_comes_back_waits_again_and_runs(record: Record) -> None:
    for _ in range(2):
        await record.missed_in_a_round()
    redelivered = LIFE.received(5)
    await record.events(msgspec.structs.replace(redelivered, run=KEY))
    task = await record.judge()
    assert (task["status"], task["outcome"]) == ("pending", None)
    await record.events(LIFE.run(7).started())
    assert (await record.judge())["status"] == "running"


async def test_an_end_that_was_on_its_way_is_what_is_shown(record: Record) -> None:
    for _ in range(2):
        await record.missed_in_a_round()
    run = LIFE.run(2)
    await record.events(run.started(), run.succeeded(3))
    task = await record.judge()
    assert (task["status"], task["outcome"]) == ("completed", "succeeded")


async def test_one_round_asks_about_a_bounded_number_of_tasks(record: Record) -> None:
    await record.events(*(Life(f"m{number}").received(0) for number in range(TASKS + 5)))
    question = await record.round()
    assert question is not None
    assert len(question.tasks) == TASKS


#: The key of a message that was delivered again: see `Tracker`.
KEY = f"0000.{round(after(5).timestamp() * 1000):013d}"
