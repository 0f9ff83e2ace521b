"""What a cancel of many tasks makes of the record, and a cancel that nobody is there to carry out."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest

from signalbox.messages.base import ProcessState, utc_now
from signalbox.messages.commands import CancelTask, CancelTasks
from signalbox.messages.events import (
    AnyEvent,
    CommandDone,
    HostLeft,
    HostSeen,
    ProcessChanged,
    TaskReceived,
)
from signalbox.messages.receipts import TaskVerdict
from signalbox.messages.verdicts import Verdict
from signalbox.postgres.pool import Database
from signalbox_reconciler.fold import fold
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.verdicts import forget_cancels, intents, intents_of
from support.history import HOST, after
from support.written_record import WrittenRecord

WEEK = 604800.0


class Record(WrittenRecord):
    """The record, written as intake, audit and sweep do."""

    async def command(self) -> tuple[str, str, int, int]:
        [row] = await self.rows("SELECT state, detail, tasks_done, tasks_total FROM commands")
        return row["state"], row["detail"], row["tasks_done"], row["tasks_total"]

    async def tasks(self) -> dict[str, str]:
        """Their ids, each with its outcome or, without one, its status."""
        rows = await self.rows("SELECT task_id, COALESCE(outcome, status) AS came_to FROM tasks")
        return {row["task_id"]: row["came_to"] for row in rows}

    async def cancels(self) -> dict[str, str]:
        """Their tasks, each with what came of it."""
        return {row["task_id"]: row["state"] for row in await self.rows("SELECT task_id, state FROM cancels")}


@pytest.fixture
def record(database: Database) -> Record:
    return Record(database)


def received(task_id: str, *, host: str = HOST, eta: float | None = None) -> TaskReceived:
    return TaskReceived(
        at=after(1),
        host=host,
        task_id=task_id,
        run="0000",
        celery_name="shop.charge",
        name="charge",
        worker=f"worker@{host}",
        eta=None if eta is None else utc_now() + timedelta(seconds=eta),
    )


def many(*task_ids: str) -> CancelTasks:
    return CancelTasks(
        command_id="c1",
        issued_by="user:alice",
        issued_at=utc_now(),
        expires_at=utc_now() + timedelta(seconds=60),
        task_ids=task_ids,
        selection="pending tasks named charge",
    )


def one(task_id: str = "t1", *, days_ago: float = 0.0, command_id: str = "c1") -> CancelTask:
    issued_at = utc_now() - timedelta(days=days_ago)
    expires_at = issued_at + timedelta(seconds=60)
    return CancelTask(
        command_id=command_id, issued_by="user:alice", issued_at=issued_at, expires_at=expires_at, task_id=task_id
    )


def done(host: str = HOST, **tasks: Verdict) -> CommandDone:
    told = tuple(TaskVerdict(task_id=task_id, verdict=said) for task_id, said in tasks.items())
    return CommandDone(at=utc_now(), host=host, command_id="c1", verdict="dropped" if told else "unknown", tasks=told)


def host_reports(state: ProcessState = "running", name: str = HOST) -> Sequence[AnyEvent]:
    worker = ProcessChanged(at=after(1), host=name, name="worker", kind="worker", state=state, desired="running")
    return [HostSeen(at=after(1), host=name, processes=(worker,))]


async def test_each_task_gets_what_came_of_it_and_the_command_counts_them(record: Record) -> None:
    await record.events(*host_reports(), *(received(task_id) for task_id in ("t1", "t2", "t3", "t4")))
    await record.commands(many("t1", "t2", "t3", "t4", "t5"))
    assert await record.command() == ("issued", "", 0, 5)
    await record.events(done(t1="dropped", t2="cancelled", t3="finished"))
    assert await record.cancels() == {
        "t1": "dropped",
        "t2": "cancelled",
        "t3": "finished",
        "t4": "dropped",  # it waits, and every host refuses it
        "t5": "unknown",
    }
    assert await record.command() == ("cancelled", "2 dropped, 1 cancelled, 1 finished, 1 unknown", 5, 5)
    assert await record.tasks() == {"t1": "cancelled", "t2": "cancelled", "t3": "pending", "t4": "cancelled"}


async def test_it_is_over_when_every_host_has_answered_or_every_task_is_settled(record: Record) -> None:
    await record.events(*host_reports(), *host_reports(name="web-02"), received("t1"), received("t2"))
    await record.commands(many("t1", "t2"))
    await record.events(done(t1="dropped"))
    assert await record.command() == ("issued", "", 1, 2)
    assert await record.tasks() == {"t1": "cancelled", "t2": "pending"}
    await record.events(done("web-02"))
    assert await record.command() == ("dropped", "2 dropped", 2, 2)
    assert await record.tasks() == {"t1": "cancelled", "t2": "cancelled"}


async def test_the_gravest_word_of_any_host_counts_in_whatever_order_they_come(record: Record) -> None:
    await record.events(done("web-02", t1="alive"), done("web-03", t1="cancelled"))
    await record.commands(many("t1"))
    await record.events(done(t1="finished"))
    assert await record.cancels() == {"t1": "alive"}


async def test_a_task_that_is_heard_of_only_after_all_hosts_refuse_it_has_failed_as_well(record: Record) -> None:
    await record.events(*host_reports())
    await record.commands(many("t1", "t2"))
    await record.events(done())
    assert await record.command() == ("unknown", "2 unknown", 2, 2)
    await record.events(received("t1"))
    assert await record.command() == ("dropped", "1 dropped, 1 unknown", 2, 2)
    assert await record.tasks() == {"t1": "cancelled"}


async def test_a_task_that_is_heard_of_at_the_moment_at_which_all_hosts_refuse_it_has_failed_as_well(
    record: Record, database: Database
) -> None:
    await record.events(*host_reports())
    async with database.transaction() as connection:
        await write_batch(connection, fold([received("t1")]))
        await record.commands(one("t1"))
        await record.events(done())
    assert await record.tasks() == {"t1": "pending"}
    await record.sweep()
    assert await record.tasks() == {"t1": "cancelled"}


async def test_a_waiting_task_needs_no_worker_to_have_failed(record: Record) -> None:
    await record.events(*host_reports("stopped"), received("t1"), HostLeft(at=after(2), host=HOST))
    await record.commands(one())
    assert await record.command() == ("dropped", "No worker held the task; every worker refuses it from now on", 1, 1)
    assert await record.tasks() == {"t1": "cancelled"}


async def test_a_waiting_task_on_a_host_that_may_still_run_it_stays_pending_and_asked_for(record: Record) -> None:
    await record.events(*host_reports(), received("t1"), HostLeft(at=after(2), host=HOST))  # its workers run on
    await record.commands(one())
    await record.sweep()
    assert await record.command() == ("issued", "", 0, 1)
    [task] = await record.rows("SELECT status, cancel_command_id FROM tasks")
    assert dict(task) == {"status": "pending", "cancel_command_id": "c1"}


async def test_a_task_that_waits_in_a_worker_without_an_agent_is_not_called_cancelled(record: Record) -> None:
    await record.events(*host_reports(), msgspec.structs.replace(received("t1", host=""), certainty="told"))
    await record.commands(one())
    await record.events(done())
    await record.sweep()
    assert await record.tasks() == {"t1": "pending"}
    await record.events(received("t1"))  # a worker with an agent has it now
    await record.sweep()
    assert await record.tasks() == {"t1": "cancelled"}


async def test_a_waiting_task_has_failed_as_soon_as_the_last_that_could_run_it_has_stopped(record: Record) -> None:
    await record.events(*host_reports(), received("t1"), HostLeft(at=after(2), host=HOST))
    await record.commands(one())
    await record.rows("UPDATE processes SET state = 'stopped'")
    await record.sweep()
    assert await record.tasks() == {"t1": "cancelled"}


async def test_a_task_that_nobody_knows_is_not_called_unknown_before_anybody_was_asked(record: Record) -> None:
    await record.commands(one())
    await record.sweep()
    assert await record.command() == ("issued", "", 0, 1)


async def test_ten_thousand_tasks_are_recorded_and_settled(record: Record) -> None:
    task_ids = [f"t{number}" for number in range(10_000)]
    await record.events(*host_reports(), *map(received, task_ids))
    half: dict[str, Verdict] = dict.fromkeys(task_ids[:5000], "dropped")
    for step in (record.commands(many(*task_ids)), record.events(done(HOST, **half))):
        await step
    assert await record.command() == ("dropped", "10,000 dropped", 10_000, 10_000)
    await record.sweep()


async def test_a_task_is_refused_from_its_cancel_on_or_from_its_time_where_that_is_later(
    record: Record, database: Database
) -> None:
    day = 86400.0
    await record.events(received("far", eta=30 * day), received("near", eta=-day))
    issued = {"far": one("far", command_id="a"), "near": one("near", command_id="b", days_ago=1)}
    await record.commands(*issued.values(), one("old", command_id="c", days_ago=8))
    async with database.connection() as connection:
        since = await intents(connection, WEEK, 10)
        assert since == await intents_of(connection, ["a", "b"])
        assert await intents(connection, WEEK, 1) == {"far": since["far"]}
    assert since["near"] == issued["near"].issued_at
    assert since["far"] - utc_now() > timedelta(days=29)


async def test_what_no_worker_refuses_any_more_is_forgotten_and_the_trail_stays(
    record: Record, database: Database
) -> None:
    await record.events(received("far", eta=30 * 86400.0))
    for task_id, days in (("old", 8.0), ("new", 6.0), ("far", 8.0)):
        await record.commands(one(task_id, command_id=task_id, days_ago=days))
    async with database.connection() as connection:
        await forget_cancels(connection, WEEK)
    assert set(await record.cancels()) == {"new", "far"}
    assert len(await record.rows("SELECT FROM commands")) == 3


async def test_what_a_cancel_came_to_stays_on_the_trail_when_a_host_answers_after_its_tasks_are_forgotten(
    record: Record, database: Database
) -> None:
    await record.events(*host_reports(), received("t1"))
    await record.commands(one(days_ago=8.0))
    await record.events(done(t1="dropped"))
    concluded = await record.command()
    async with database.connection() as connection:
        await forget_cancels(connection, WEEK)
    await record.events(done("web-02"))  # it was away all the time
    await record.sweep()
    assert await record.command() == concluded == ("dropped", "", 1, 1)
