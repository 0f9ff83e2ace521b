"""A controller with a real worker and beat: what is launched, stopped, started, restarted, adopted."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path

import psutil
import pytest

from signalbox.bus import names
from signalbox.bus.consumer import entries_of
from signalbox.errors import UnknownHost
from signalbox.messages.codec import decode_event
from signalbox.messages.events import (
    HostLeft,
    HostSeen,
    ProcessChanged,
    TaskFailed,
    TaskRan,
    TaskStarted,
    TaskSucceeded,
)
from support.eventually import HANGS, eventually
from support.host import ALICE, BEAT, SHOP, Host, a_host, exists, lives
from support.shared_host import LOOKS, host_of_all, shared_host
from support.stores.server import Redis

#: Tasks that are sent in a row, most of which are over before their worker tells of them.
QUICK = 50
#: Fixtures that stand in a module of their own.
__all__ = ["host_of_all", "shared_host"]


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


async def test_worker_and_beat_are_launched_and_told_when_they_consume(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + BEAT) as host:
        worker = await host.process_is("worker", "running")
        beat = await host.process_is("beat", "running")
        assert worker.node == "worker@web-01"
        assert worker.pid is not None
        assert beat.pid is not None
        assert exists(worker.pid)
        assert exists(beat.pid)
        seen = await host.seen(HostSeen)
        assert [process.name for process in seen.processes] == ["worker", "beat"]
        await host.seen(TaskStarted, celery_name="shop.orders.receive_orders")


@LOOKS
async def test_the_heartbeat_names_the_running_tasks(shared_host: Host) -> None:
    started = await shared_host.running()
    seen = await shared_host.seen(HostSeen, running=((started.task_id, started.run),))
    assert [(process.name, process.pid) for process in seen.processes] == [("worker", await shared_host.pid("worker"))]


@LOOKS
async def test_a_quick_task_is_one_event_on_the_bus(shared_host: Host) -> None:
    sent = {await shared_host.send("reports.count_stock", seconds=0.0) for _ in range(QUICK)}
    for task_id in sent:
        await shared_host.seen(TaskSucceeded, task_id=task_id)
    told = [decode_event(row.data) for row in entries_of(await shared_host.redis.xread({names.EVENTS: b"0"}))]
    ran = [event.task_id for event in told if isinstance(event, TaskRan) and event.task_id in sent]
    others = {event.task_id for event in told if isinstance(event, TaskStarted | TaskSucceeded)}
    assert ran
    assert len(ran) == len(set(ran))
    assert others & sent == sent - set(ran)


@LOOKS
async def test_no_secret_of_ours_reaches_the_environment_of_celery(shared_host: Host) -> None:
    pid = await shared_host.pid("worker")
    variables = set(psutil.Process(pid).environ())
    ours = {name for name in variables if name.startswith("SIGNALBOX_")}
    assert ours - {"SIGNALBOX_CGROUP"} == {"SIGNALBOX_AGENT_SOCKET", "SIGNALBOX_INSTANCE"}
    assert "SHOP_BROKER_URL" in variables


async def test_an_immediate_stop_ends_busy_workers_with_all_that_they_started(host: Host) -> None:
    stubborn = await host.running("stubborn.ignore_term", seconds=120.0)
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    grandchild = await host.only_child_of(program.pid)
    worker = await host.pid("worker")
    result = await host.commander.stop(ALICE, mode="immediate")
    assert not [pid for pid in (worker, stubborn.pid, program.pid, grandchild) if exists(pid)]
    assert (result.verdict, result.tasks_killed) == ("stopped", 2)
    assert [(report.name, report.state) for report in result.processes] == [("worker", "stopped")]
    for started in (stubborn, program):
        failed = await host.seen(TaskFailed, task_id=started.task_id)
        assert (failed.outcome, failed.error) == ("stopped", "Celery was stopped by alice: maintenance")
        assert (failed.run, failed.pid, failed.started_at) == (started.run, started.pid, started.at)
    told = await host.process_is("worker", "stopped")
    assert (told.desired, told.pid, told.message) == ("stopped", None, "stopped by alice: maintenance")


async def test_a_graceful_stop_lets_tasks_finish_until_its_time_is_over(host: Host) -> None:
    short = await host.running(seconds=1.0)
    long = await host.running(seconds=120.0)
    result = await host.commander.stop(ALICE, timeout=5.0)
    assert (result.verdict, result.tasks_killed) == ("stopped", 1)
    states = [told.state for told in await host.of(ProcessChanged, name="worker")]
    assert [state for state, _ in groupby(states)][-4:] == ["running", "draining", "stopping", "stopped"]
    assert (await host.seen(TaskSucceeded, task_id=short.task_id)).run == short.run
    assert (await host.seen(TaskFailed, task_id=long.task_id)).outcome == "stopped"
    assert not await host.of(TaskFailed, task_id=short.task_id)


async def test_what_was_stopped_stays_stopped_until_it_is_started(host: Host) -> None:
    await host.commander.stop(ALICE, mode="immediate")
    assert await host.end(signal.SIGTERM) == 0
    await host.seen(HostLeft)
    host.start()
    seen = await host.seen_again(HostSeen)
    assert [(process.state, process.desired) for process in seen.processes] == [("stopped", "stopped")]
    result = await host.commander.start(ALICE)
    assert result.verdict == "started"
    assert [report.state for report in result.processes] == ["running"]
    await host.running(seconds=0.1)


async def test_a_start_during_a_stop_starts_again_once_it_has_stopped(host: Host) -> None:
    await host.running()
    before = await host.pid("worker")
    stopping = host.begin(host.commander.stop(ALICE, timeout=1.0))
    await host.process_is("worker", "draining")
    started = await host.commander.start(ALICE)
    assert started.verdict == "started"
    assert not exists(before)
    assert (await stopping).verdict == "incomplete"
    assert await host.pid("worker") != before


@LOOKS
async def test_a_stop_of_something_that_is_not_here_stops_nothing(shared_host: Host) -> None:
    assert (await shared_host.commander.stop(ALICE, processes=["other"])).verdict == "unknown"
    with pytest.raises(UnknownHost):
        await shared_host.commander.stop(ALICE, hosts=["web-02"])
    assert exists(await shared_host.pid("worker"))


async def test_a_killed_worker_fails_its_tasks_and_comes_back(host: Host) -> None:
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    grandchild = await host.only_child_of(program.pid)
    before = await host.pid("worker")
    os.kill(before, signal.SIGKILL)
    failed = await host.seen(TaskFailed, task_id=program.task_id)
    assert (failed.outcome, failed.error) == ("worker_lost", "Worker lost: signal 9 (SIGKILL)")
    assert not exists(grandchild)
    backoff = await host.seen(ProcessChanged, name="worker", state="backoff")
    assert (backoff.exit_code, backoff.desired) == (-9, "running")
    await host.process_is("worker", "running")
    assert await host.pid("worker") != before


async def test_an_application_that_does_not_exist_ends_in_backoff_with_the_reason(
    tmp_path: Path, valkey: Redis
) -> None:
    nonsense = SHOP.replace('app = "shop"', 'app = "no_such_app"')
    async with a_host(tmp_path / "host", valkey, nonsense) as host:
        told = await host.seen(ProcessChanged, name="worker", state="backoff")
        assert "no_such_app" in told.message
        assert "next try in" in told.message
        result = await host.commander.start(ALICE)
        assert result.verdict == "incomplete"
        assert "no_such_app" in result.detail


async def test_a_killed_controller_leaves_celery_running_and_its_successor_adopts_it(host: Host) -> None:
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    worker, grandchild = await host.pid("worker"), await host.only_child_of(program.pid)
    await host.end(signal.SIGKILL)
    waiting = await host.send("reports.count_stock", seconds=120.0)
    assert exists(worker)
    host.start()
    seen = await host.seen_again(HostSeen)
    assert (program.task_id, program.run) in seen.running
    assert await host.pid("worker") == worker
    # What happened while no controller was there is told by the agent.
    away = await host.seen(TaskStarted, task_id=waiting)
    result = await host.commander.cancel(program.task_id, ALICE)
    assert result.verdict == "cancelled"
    assert not exists(program.pid)
    assert not lives(grandchild)
    assert len(host.workers()) == 1
    await host.commander.stop(ALICE, mode="immediate")
    assert not lives(worker)
    assert not lives(away.pid)


async def test_an_adopted_worker_that_dies_is_seen_and_replaced(host: Host) -> None:
    before = await host.pid("worker")
    await host.end(signal.SIGKILL)
    host.start()
    await host.seen_again(HostSeen)
    started = await host.running()
    os.kill(before, signal.SIGKILL)
    failed = await host.seen(TaskFailed, task_id=started.task_id)
    assert failed.outcome == "worker_lost"

    async def replaced() -> bool:
        return await host.pid("worker") not in {before, 0}

    await eventually(replaced, "another worker")
    assert len(host.workers()) == 1


async def test_supervision_needs_no_redis_and_tells_all_of_it_later(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        before = (await host.process_is("worker", "running")).pid
        await valkey.stop()
        assert before is not None
        os.kill(before, signal.SIGKILL)

        async def replaced() -> bool:
            return bool(host.workers()) and not exists(before)

        await eventually(replaced, "another worker")
        await valkey.start()
        await host.seen(ProcessChanged, name="worker", state="backoff")
        await host.process_is("worker", "running")
        states = [told.state for told in await host.of(ProcessChanged, name="worker")]
        assert states[-4:] == ["running", "backoff", "starting", "running"]


async def test_the_controller_starts_celery_before_there_is_a_redis(tmp_path: Path, valkey: Redis) -> None:
    await valkey.stop()
    async with a_host(tmp_path / "host", valkey) as host:

        async def launched() -> bool:
            return bool(host.workers())

        await eventually(launched, "a worker")
        await valkey.start()
        await host.process_is("worker", "running")
        assert len(host.workers()) == 1


async def test_a_controller_told_to_takes_celery_with_it(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SIGNALBOX_ON_EXIT="stop") as host:
        worker = (await host.process_is("worker", "running")).pid
        assert worker is not None
        assert await host.end(signal.SIGTERM) == 0
        assert not exists(worker)
        told = await host.process_is("worker", "stopped")
        assert told.message == "stopped by the controller of web-01: it was stopped itself"
        host.start()
        await host.seen(ProcessChanged, name="worker", state="running", desired="running")


@LOOKS
async def test_two_controllers_never_share_a_data_folder(shared_host: Host) -> None:
    first = shared_host.process
    shared_host.start()
    second, shared_host.process = shared_host.process, first
    assert second is not None
    assert await asyncio.to_thread(second.wait, HANGS) == 2
    assert first is not None
    assert f"the controller with pid {first.pid} already uses" in shared_host.log


async def test_two_controllers_never_share_a_host_name(host: Host, tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "other", valkey) as other:
        assert other.process is not None
        assert await asyncio.to_thread(other.process.wait, HANGS) == 2
        assert f"the host name web-01 is that of another controller, {socket.gethostname()}:{host.data}" in other.log
        assert "SIGNALBOX_HOSTNAME" in other.log
        assert not other.workers()


async def test_a_controller_whose_name_was_taken_while_it_stood_still_steps_back_and_leaves_celery_running(
    host: Host, tmp_path: Path, valkey: Redis
) -> None:
    assert host.process is not None
    worker = await host.pid("worker")
    host.process.send_signal(signal.SIGSTOP)
    async with a_host(tmp_path / "other", valkey) as other:
        await eventually(lambda: _launched(other), "the other one has got the name")
        host.process.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(host.process.wait, HANGS) == 2
        assert "is that of another controller" in host.log
        assert exists(worker)


async def _launched(host: Host) -> bool:
    return bool(host.workers())
