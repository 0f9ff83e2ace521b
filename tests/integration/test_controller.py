"""A controller of one host, with a real worker and beat: what is supervised, stopped, started and cancelled."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.messages.events import CommandDone, HostSeen, ProcessChanged, TaskCancelled, TaskFailed, TaskStarted
from support.host import ALICE, BEAT, SHOP, Host, a_host
from support.stores.server import Redis


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


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
        await host.seen(TaskStarted, within=20.0)


async def test_a_running_task_is_dead_before_its_cancel_is_answered(host: Host) -> None:
    started = await host.running()
    result = await host.commander.cancel(started.task_id, ALICE)
    assert not exists(started.pid)
    assert result.verdict == "cancelled"
    assert result.task_name == "count_stock"
    cancelled = (await host.of(TaskCancelled))[-1]
    assert (cancelled.task_id, cancelled.host, cancelled.pid) == (started.task_id, "web-01", started.pid)
    done = await host.seen(CommandDone)
    assert (done.command_id, done.verdict, done.task_id) == (result.command_id, "cancelled", started.task_id)
