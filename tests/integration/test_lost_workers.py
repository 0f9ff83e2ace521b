"""Workers and pool children that somebody kills: what their tasks are told, by when, and what is left of them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from signalbox.messages.events import HostSeen, ProcessChanged, TaskFailed, TaskStarted
from support.eventually import eventually
from support.host import Host, a_host, exists, lives
from support.memory import scarce_memory
from support.stores.server import Redis


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


async def _lost(host: Host, task: TaskStarted) -> TaskFailed:
    failed = await host.seen(TaskFailed, task_id=task.task_id)
    assert (failed.outcome, failed.run, failed.pid) == ("worker_lost", task.run, task.pid)
    return failed


async def test_the_tasks_of_a_killed_worker_are_told_as_lost(host: Host) -> None:
    tasks = [await host.running(), await host.running("stubborn.ignore_term", seconds=120.0)]
    os.kill(await host.pid("worker"), signal.SIGKILL)
    for task in tasks:
        assert (await _lost(host, task)).error == "Worker lost: signal 9 (SIGKILL)"
        assert not exists(task.pid)


async def test_a_worker_that_somebody_crashes_is_started_again_and_nothing_of_it_is_left(host: Host) -> None:
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    worker, grandchild = await host.pid("worker"), await host.only_child_of(program.pid)
    os.kill(worker, signal.SIGSEGV)
    assert (await _lost(host, program)).error == "Worker lost: signal 11 (SIGSEGV)"
    assert not exists(program.pid)
    assert not exists(grandchild)
    assert (await host.process_is("worker", "running")).pid != worker


async def test_a_task_of_a_worker_that_somebody_shuts_down_says_that_it_was_not_us(host: Host) -> None:
    task = await host.running()
    os.kill(await host.pid("worker"), signal.SIGQUIT)
    failed = await host.seen(TaskFailed, task_id=task.task_id)
    assert failed.error == "Ended together with its worker, which was shut down, but not by Signalbox"
    assert not exists(task.pid)
    assert (await host.process_is("worker", "stopped")).message == "ended by itself (exit code 0)"


async def test_a_pool_child_that_is_killed_takes_its_task_and_all_below_it_but_nothing_else(host: Host) -> None:
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    neighbour = await host.running()
    worker, grandchild = await host.pid("worker"), await host.only_child_of(program.pid)
    os.kill(program.pid, signal.SIGKILL)
    failed = await _lost(host, program)
    assert failed.error == f"The process {program.pid} that ran it died: signal 9 (SIGKILL)"
    assert not exists(grandchild)
    assert lives(neighbour.pid)
    await host.running(seconds=0.1)
    assert await host.pid("worker") == worker
    assert not await host.of(TaskFailed, task_id=neighbour.task_id)


async def test_a_hard_time_limit_ends_what_the_task_had_started_too(host: Host) -> None:
    name, seconds = "shop.stubborn.run_detached_subprocess", {"seconds": 120.0}
    sent = await asyncio.to_thread(host.celery.send_task, name, kwargs=seconds, time_limit=1)
    program = await host.seen(TaskStarted, task_id=sent.id)
    grandchild = await host.only_child_of(program.pid)
    failed = await host.seen(TaskFailed, task_id=sent.id)
    assert failed.outcome == "time_limit"
    assert not exists(grandchild)


async def test_what_a_lost_task_left_is_found_by_a_controller_that_adopted_the_worker(host: Host) -> None:
    program = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
    grandchild = await host.only_child_of(program.pid)
    await host.end_hard()
    host.start()
    await host.seen_again(HostSeen)
    os.kill(program.pid, signal.SIGKILL)
    await _lost(host, program)
    assert not lives(grandchild)


async def test_how_an_adopted_worker_ended_is_known(host: Host) -> None:
    await host.end_hard()
    host.start()
    await host.seen_again(HostSeen)
    task = await host.running()
    os.kill(await host.pid("worker"), signal.SIGKILL)
    failed = await _lost(host, task)
    assert failed.error == "Worker lost: signal 9 (SIGKILL)"
    assert (await host.seen(ProcessChanged, name="worker", state="backoff")).exit_code == -signal.SIGKILL


async def test_the_out_of_memory_killer_is_named_when_it_ended_a_task(host: Host) -> None:
    # The pool has two children: wherever the task goes, there is little memory.
    first, second = [child.pid for child in psutil.Process(await host.pid("worker")).children()]
    with scarce_memory(first, 50), scarce_memory(second, 50):
        task = await host.send("stubborn.eat_memory", megabytes=200)
        failed = await host.seen(TaskFailed, task_id=task)
    assert failed.outcome == "worker_lost"
    assert failed.error.endswith("died: signal 9 (SIGKILL), by the kernel: out of memory")


async def test_the_out_of_memory_killer_is_named_when_it_ended_a_worker(host: Host) -> None:
    worker = await host.pid("worker")
    running = await host.running()
    with scarce_memory(worker, 0):

        async def dead() -> bool:
            await host.send("reports.count_stock", seconds=0.1)  # whatever it does takes some memory
            return not lives(worker)

        await eventually(dead, "a worker without memory dies")
        failed = await host.seen(TaskFailed, task_id=running.task_id)
    assert failed.error == "Worker lost: signal 9 (SIGKILL), by the kernel: out of memory"
    told = await host.seen(ProcessChanged, name="worker", state="backoff")
    assert told.message.startswith("failed (signal 9 (SIGKILL), by the kernel: out of memory")
