"""Cancels as a host carries them out: dead before answered, with all that the task had started, once for all."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from signalbox.bus import names
from signalbox.bus.publisher import publish_command
from signalbox.messages.base import utc_now
from signalbox.messages.codec import encode, sign
from signalbox.messages.commands import CancelTask, StopProcesses
from signalbox.messages.events import (
    CommandDone,
    CommandRefused,
    HostSeen,
    TaskCancelled,
    TaskDropped,
    TaskSignalled,
    TaskStarted,
    TaskSucceeded,
)
from signalbox.messages.receipts import Answered, Progressed
from support.eventually import HANGS, eventually
from support.host import ALICE, KEY, SHOP, Host, a_host, exists
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

TWO_WORKERS = (
    SHOP
    + """
[[apps.shop.workers]]
name = "other"
queues = ["other"]
concurrency = 1
"""
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("cancels")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, TWO_WORKERS) as one:
        await one.process_is("worker", "running")
        await one.process_is("other", "running")
        yield one


def a_cancel(task_id: str, *, lifetime: float = 60.0) -> CancelTask:
    now = utc_now()
    return CancelTask(
        command_id=str(uuid.uuid4()),
        issued_by="user:alice",
        issued_at=now,
        expires_at=now + timedelta(seconds=lifetime),
        task_id=task_id,
    )


async def test_a_running_task_is_dead_before_its_cancel_is_answered(host: Host) -> None:
    started = await host.running()
    result = await host.commander.cancel(started.task_id, ALICE)
    assert not exists(started.pid)
    assert result.verdict == "cancelled"
    assert result.task_name == "count_stock"
    cancelled = await host.seen(TaskCancelled, task_id=started.task_id)
    assert (cancelled.host, cancelled.pid, cancelled.run) == ("web-01", started.pid, started.run)
    assert cancelled.command_id == result.command_id
    assert started.pid in cancelled.killed
    done = await host.seen(CommandDone, command_id=result.command_id)
    assert (done.verdict, done.task_id) == ("cancelled", started.task_id)
    events = await host.events()
    assert events.index(cancelled) < events.index(done)


async def test_a_task_that_ignores_term_is_killed_at_the_deadline(host: Host) -> None:
    started = await host.running("stubborn.ignore_term", seconds=120.0)
    asked = time.monotonic()
    result = await host.commander.cancel(started.task_id, ALICE, grace=1.0)
    assert not exists(started.pid)
    assert result.verdict == "cancelled"
    assert time.monotonic() - asked >= 1.0
    assert (await host.seen(TaskCancelled, task_id=started.task_id)).signal == "KILL"
    assert (await host.of(TaskSignalled, task_id=started.task_id))[0].signal == "TERM"


@pytest.mark.parametrize("task", ["run_subprocess", "run_detached_subprocess"])
async def test_what_a_task_had_started_is_gone_with_it(host: Host, task: str) -> None:
    started = await host.running(f"stubborn.{task}", seconds=120.0)
    grandchild = await host.only_child_of(started.pid)
    result = await host.commander.cancel(started.task_id, ALICE)
    assert not exists(started.pid)
    assert not exists(grandchild)
    assert result.verdict == "cancelled"
    assert {started.pid, grandchild} <= set((await host.seen(TaskCancelled, task_id=started.task_id)).killed)


async def test_a_finished_task_stays_finished(host: Host) -> None:
    started = await host.running(seconds=0.1)
    await host.seen(TaskSucceeded, task_id=started.task_id)
    result = await host.commander.cancel(started.task_id, ALICE)
    assert result.verdict == "finished"
    assert "completed" in result.detail


async def test_an_unknown_task_is_answered_at_once_and_refused_should_it_arrive(host: Host) -> None:
    task_id = str(uuid.uuid4())
    result = await host.commander.cancel(task_id, ALICE)
    assert result.verdict == "unknown"
    await asyncio.to_thread(host.celery.send_task, "shop.reports.count_stock", task_id=task_id)
    dropped = await host.seen(TaskDropped, task_id=task_id)
    assert dropped.outcome == "cancelled"
    assert not await host.of(TaskStarted, task_id=task_id)


async def test_among_many_hosts_the_answers_that_decide_nothing_are_spread_and_each_is_given(host: Host) -> None:
    others = {f"pod-{number}": time.time() + 3600 for number in range(1000)}
    await host.redis.zadd(names.PRESENCE, others)
    try:
        for _ in range(2):  # it knows of them from its next heartbeat on
            await host.seen_again(HostSeen)
        commands = [a_cancel(str(uuid.uuid4())) for _ in range(30)]
        started = await host.running()
        running = a_cancel(started.task_id)
        await asyncio.gather(*(publish_command(host.redis, KEY, command) for command in (*commands, running)))
        answers = [await host.seen(CommandDone, command_id=command.command_id) for command in (*commands, running)]
        assert [answer.verdict for answer in answers] == ["unknown"] * 30 + ["cancelled"]
        # In turn they would be given in the order of the commands, give or take a neighbour.
        places = {event.command_id: place for place, event in enumerate(await host.of(CommandDone))}
        order = [places[command.command_id] for command in commands]
        assert sum(abs(place - min(order) - number) for number, place in enumerate(order)) > 60
    finally:
        await host.redis.zrem(names.PRESENCE, *others)
    for _ in range(2):
        await host.seen_again(HostSeen)


async def test_the_same_command_again_gets_the_same_answer_and_has_no_second_effect(host: Host) -> None:
    started = await host.running()
    command = a_cancel(started.task_id)
    await publish_command(host.redis, KEY, command)
    first = (await host.receipts(command.command_id, 1))[0]
    assert isinstance(first, Answered)
    assert first.verdict == "cancelled"
    await publish_command(host.redis, KEY, command)
    assert await host.receipts(command.command_id, 2) == [first, first]
    assert len(await host.of(CommandDone, command_id=command.command_id)) == 1
    assert len(await host.of(TaskCancelled, task_id=started.task_id)) == 1


async def test_a_command_that_comes_again_while_it_is_carried_out_is_answered_twice(host: Host) -> None:
    started = await host.running("stubborn.ignore_term", seconds=120.0)
    command = a_cancel(started.task_id)
    await publish_command(host.redis, KEY, command)
    assert isinstance((await host.receipts(command.command_id, 1))[0], Progressed)
    await publish_command(host.redis, KEY, command)
    _, first, second = await host.receipts(command.command_id, 3)
    assert isinstance(first, Answered)
    assert first.verdict == "cancelled"
    assert first == second
    assert len(await host.of(TaskCancelled, task_id=started.task_id)) == 1


async def test_two_cancels_of_one_task_both_hear_that_it_is_dead(host: Host) -> None:
    started = await host.running("stubborn.ignore_term", seconds=120.0)
    first, second = a_cancel(started.task_id), a_cancel(started.task_id)
    await asyncio.gather(*(publish_command(host.redis, KEY, command) for command in (first, second)))
    for command in (first, second):
        progress, answer = await host.receipts(command.command_id, 2)
        assert isinstance(progress, Progressed)
        assert isinstance(answer, Answered)
        assert answer.verdict == "cancelled"
    assert not exists(started.pid)
    assert len(await host.of(TaskCancelled, task_id=started.task_id)) == 1


async def test_a_cancel_that_is_read_late_is_carried_out_all_the_same(host: Host) -> None:
    started = await host.running()
    command = a_cancel(started.task_id, lifetime=-1.0)
    await publish_command(host.redis, KEY, command)
    answer = (await host.receipts(command.command_id, 1))[0]
    assert isinstance(answer, Answered)
    assert answer.verdict == "cancelled"
    assert not exists(started.pid)


async def test_an_expired_stop_is_refused_and_touches_nothing(host: Host) -> None:
    started = await host.running()
    now = utc_now()
    command = StopProcesses(
        command_id=str(uuid.uuid4()), issued_by="user:alice", issued_at=now, expires_at=now - timedelta(seconds=1)
    )
    await publish_command(host.redis, KEY, command)
    answer = (await host.receipts(command.command_id, 1))[0]
    assert isinstance(answer, Answered)
    assert answer.verdict == "refused"
    assert "expired" in answer.detail
    assert "expired" in (await host.seen(CommandRefused, command_id=command.command_id)).reason
    assert exists(started.pid)
    await host.commander.cancel(started.task_id, ALICE)


async def test_an_unsigned_command_is_refused_and_kept_for_people_to_see(host: Host) -> None:
    started = await host.running()
    command = a_cancel(started.task_id)
    await publish_command(host.redis, "somebody else's key, which is not ours", command)
    assert "not signed" in (await host.seen(CommandRefused, command_id=command.command_id)).reason
    await host.buried(encode(command))
    assert exists(started.pid)
    await host.commander.cancel(started.task_id, ALICE)


async def test_an_unreadable_command_is_buried_and_the_next_one_carried_out(host: Host) -> None:
    await host.redis.xadd(names.COMMANDS, {b"data": b"nonsense"})
    started = await host.running()
    assert (await host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    await host.buried(b"nonsense")


async def test_a_command_of_a_newer_release_is_answered_and_a_forged_or_damaged_one_is_buried(host: Host) -> None:
    def newer(command: CancelTask) -> bytes:
        return encode(command).replace(b'"CancelTask"', b'"PauseQueue"')

    command, forged = a_cancel("t1"), a_cancel("t1")
    data = newer(command)
    damaged = encode(a_cancel("t1")).replace(b'"task_id":"t1"', b'"task_id":1')
    await host.redis.xadd(names.COMMANDS, {b"data": newer(forged), b"sig": sign("x" * 40, newer(forged))})
    await host.redis.xadd(names.COMMANDS, {b"data": damaged, b"sig": sign(KEY, damaged)})
    await host.redis.xadd(names.COMMANDS, {b"data": data, b"sig": sign(KEY, data)})
    refused = await host.seen(CommandRefused, command_id=command.command_id)
    assert refused.reason.startswith("this controller is older than what sent it: update it")
    assert "PauseQueue" in refused.reason
    [answer] = await host.receipts(command.command_id, 1)
    assert isinstance(answer, Answered)
    assert answer.verdict == "refused"
    await host.buried(newer(forged))
    await host.buried(damaged)
    assert not await host.of(CommandRefused, command_id=forged.command_id)


async def test_a_slow_stop_delays_no_cancel(host: Host) -> None:
    other = await host.send_to("other", "stubborn.ignore_term", seconds=120.0)
    busy = await host.seen(TaskStarted, task_id=other)
    started = await host.running()
    stopping = host.begin(host.commander.stop(ALICE, processes=["other"], timeout=2.0))
    await host.process_is("other", "draining")
    assert (await host.commander.cancel(started.task_id, ALICE)).verdict == "cancelled"
    assert not stopping.done()
    assert (await stopping).tasks_killed == 1
    assert not exists(busy.pid)
    assert (await host.commander.start(ALICE, processes=["other"])).verdict == "started"


async def test_the_next_task_starts_at_once_after_a_cancel(host: Host) -> None:
    blockers = [await host.running() for _ in range(2)]
    waiting = await host.send("reports.count_stock", seconds=60.0)
    await host.commander.cancel(blockers[0].task_id, ALICE)
    cancelled = await host.seen(TaskCancelled, task_id=blockers[0].task_id)
    following = await host.seen(TaskStarted, task_id=waiting)
    assert following.at - cancelled.at < timedelta(seconds=1)
    for started in (blockers[1], following):
        await host.commander.cancel(started.task_id, ALICE)


async def test_a_cancelled_task_is_refused_after_a_restart_of_everything(tmp_path: Path) -> None:
    task_id = str(uuid.uuid4())
    async with a_redis(tmp_path / "redis") as redis, a_host(tmp_path / "host", redis) as host:
        await host.process_is("worker", "running")
        await host.commander.cancel(task_id, ALICE)
        await host.commander.stop(ALICE, mode="immediate")
        await host.end_hard()
        await asyncio.to_thread(host.celery.send_task, "shop.reports.count_stock", task_id=task_id)
        host.start()
        await host.commander.start(ALICE)
        await host.seen(TaskDropped, task_id=task_id, outcome="cancelled")
        assert not await host.of(TaskStarted, task_id=task_id)


async def test_a_worker_that_does_not_answer_leaves_the_cancel_unproven_and_is_named(host: Host) -> None:
    frozen = await host.pid("other")
    os.kill(frozen, signal.SIGSTOP)
    try:
        unknown = await host.commander.cancel(str(uuid.uuid4()), ALICE, grace=0.1)
        assert (unknown.verdict, unknown.detail) == ("unproven", "other did not answer in time.")
        # A task that is known to be dead elsewhere does not wait for it.
        started = await host.running()
        async with asyncio.timeout(HANGS):
            cancelled = await host.commander.cancel(started.task_id, ALICE, grace=600.0)
        assert cancelled.verdict == "cancelled"
    finally:
        os.kill(frozen, signal.SIGCONT)


async def test_an_id_that_runs_twice_in_one_worker_is_cancelled_when_both_runs_are_dead(host: Host) -> None:
    task_id = str(uuid.uuid4())
    for _ in range(2):
        sending = {"args": (), "kwargs": {"seconds": 120.0}, "task_id": task_id}
        await asyncio.to_thread(host.celery.send_task, "shop.reports.count_stock", **sending)

    async def both() -> list[TaskStarted] | None:
        found = await host.of(TaskStarted, task_id=task_id)
        return found if len(found) == 2 else None

    runs = await eventually(both, "two runs")
    assert (await host.commander.cancel(task_id, ALICE)).verdict == "cancelled"
    assert not [run.pid for run in runs if exists(run.pid)]
    cancelled = await host.of(TaskCancelled, task_id=task_id)
    assert {event.run for event in cancelled} == {run.run for run in runs}
    assert {event.delivery for event in cancelled} == {run.delivery for run in runs}
