"""Edits of signalbox.toml: whatever becomes of the file, what runs is shown, and is never shown as stopped."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from signalbox.errors import ControllerUnreachable
from signalbox.local.ask import ask
from signalbox.local.protocol import ShowStatus
from signalbox.messages.events import HostSeen, ProcessChanged, TaskFailed, TaskStarted
from support.edits import File
from support.eventually import eventually
from support.host import ALICE, BEAT, SHOP, Host, a_host, lives
from support.stores.server import Redis

#: Edits of the property test, and the seed that they are made from.
EDITS, SEED = int(os.environ.get("SIGNALBOX_EDITS", "5")), int(os.environ.get("SIGNALBOX_SEED", "10"))
#: Workers that are no longer configured and may run at once: more would only cost memory.
UNCONFIGURED = 2

RENAMED = SHOP.replace('name = "worker"', 'name = "emails"')


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey) as one:
        await one.process_is("worker", "running")
        yield one


async def shown(host: Host) -> dict[str, ProcessChanged]:
    """The processes as the controller shows them, as soon as it answers."""

    async def look() -> HostSeen | None:
        try:
            status = await asyncio.to_thread(ask, host.data, ShowStatus(), 5.0)
        except ControllerUnreachable:
            return None
        return status if isinstance(status, HostSeen) else None

    status = await eventually(look, "the controller's answer")
    return {process.name: process for process in status.processes}


async def shown_as(host: Host, name: str, **fields: object) -> ProcessChanged:
    """A process as soon as it runs and is shown with these values."""

    async def look() -> ProcessChanged | None:
        process = (await shown(host)).get(name)
        fits = process is not None and all(getattr(process, key) == value for key, value in fields.items())
        return process if fits and process is not None and process.state == "running" else None

    try:
        return await eventually(look, f"{name} with {fields}")
    except BaseException:
        print(await shown(host), host.log, sep="\n")  # noqa: T201
        raise


async def look_for_lies(host: Host) -> dict[str, ProcessChanged]:
    """Whatever lived before and after the answer is in it, and not as something that is stopped."""
    before = set(host.mains())
    processes = await shown(host)
    alive = {process.pid for process in processes.values() if process.state != "stopped"}
    instances = {process.instance for process in processes.values() if process.state in {"stopped", "fatal"}}
    there = {pid: instance for pid, instance in host.mains().items() if pid in before}
    assert set(there) <= alive, f"{set(there) - alive} are not shown: {processes}"
    assert not instances & set(there.values()), f"shown as stopped: {processes}"
    return processes


async def edited(host: Host, text: str, number: signal.Signals = signal.SIGTERM) -> None:
    """The controller is stopped, the file edited, and another controller started."""
    await host.end(number)
    host.configure(text)
    host.start()


@pytest.mark.timeout(240 + 60 * EDITS)  # only bounds a hang
async def test_no_edit_of_the_file_hides_a_process_or_shows_it_as_stopped(tmp_path: Path, valkey: Redis) -> None:
    random, file = Random(SEED), File({"shop": {"w1": 1}, "crm": {"w1": 1}})  # noqa: S311 - no secret
    async with a_host(tmp_path / "host", valkey, file.text) as host:
        await _settled(host)
        for number in range(EDITS):
            what = [file.edit(random) for _ in range(random.choice((1, 1, 2)))]
            try:
                await edited(host, file.text, random.choice((signal.SIGTERM, signal.SIGKILL)))
                await look_for_lies(host)
                processes = await _settled(host)
                await _stop_some(host, processes, random)
            except BaseException:
                print(f"edit {number} of seed {SEED}: {what}", file.text, host.log, sep="\n")  # noqa: T201
                raise


async def _settled(host: Host) -> dict[str, ProcessChanged]:
    """Everything is shown and runs, and nothing was hidden at any look until then."""

    async def look() -> dict[str, ProcessChanged] | None:
        processes = await look_for_lies(host)
        running = [process for process in processes.values() if process.state == "running"]
        return processes if len(running) == len(processes) == len(host.mains()) else None

    return await eventually(look, "every process runs")


async def _stop_some(host: Host, processes: dict[str, ProcessChanged], random: Random) -> None:
    """Stop workers that are no longer configured, as a person does who has read that they run."""
    unconfigured = [name for name, process in processes.items() if not process.configured]
    random.shuffle(unconfigured)
    for name in unconfigured[UNCONFIGURED:]:
        await host.seen_again(HostSeen)  # a host that has not announced itself yet is not waited for
        result = await host.commander.stop(ALICE, processes=[name], mode="immediate")
        assert result.verdict == "stopped", result
        assert not lives(processes[name].pid or 0)
        await look_for_lies(host)


async def test_a_renamed_worker_is_shown_and_cancelled_and_stopped_like_all_others(host: Host) -> None:
    worker, task = await host.pid("worker"), await host.running()
    await edited(host, RENAMED)
    found = await shown_as(host, "worker", pid=worker, configured=False, desired="stopped")
    assert found.message.startswith("no longer configured")
    await shown_as(host, "emails", configured=True)
    assert (task.task_id, task.run) in (await host.seen_again(HostSeen)).running
    assert (await host.commander.cancel(task.task_id, ALICE)).verdict == "cancelled"
    assert not lives(task.pid)

    refused = await host.commander.start(ALICE, processes=["worker"])
    assert (refused.verdict, "no longer configured" in refused.detail) == ("incomplete", True)
    result = await host.commander.stop(ALICE, mode="immediate")
    assert (result.verdict, {report.name for report in result.processes}) == ("stopped", {"worker", "emails"})
    assert not lives(worker)
    assert not host.workers()
    assert set(await shown(host)) == {"emails"}


async def test_a_worker_that_was_removed_and_died_meanwhile_is_accounted_for(host: Host) -> None:
    worker, task = await host.pid("worker"), await host.running()
    await host.end(signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    host.configure(RENAMED)
    host.start()
    failed = await host.seen(TaskFailed, task_id=task.task_id)
    assert (failed.outcome, failed.pid) == ("worker_lost", task.pid)
    assert set(await shown(host)) == {"emails"}


async def test_other_options_in_the_file_are_shown_until_a_restart_brings_them_into_effect(host: Host) -> None:
    worker = await host.pid("worker")
    await edited(host, SHOP.replace("concurrency = 2", "concurrency = 1"))
    found = await shown_as(host, "worker", pid=worker, outdated="concurrency")
    assert found.message.startswith("runs with other options than signalbox.toml has (concurrency)")
    await host.seen_again(HostSeen)  # as above
    assert (await host.commander.restart(ALICE)).verdict == "started"
    after = (await shown(host))["worker"]
    assert (after.state, after.outdated, after.message) == ("running", "", "")


async def test_a_worker_that_is_on_no_record_is_found_by_what_it_was_launched_with(host: Host) -> None:
    worker = await host.pid("worker")
    await host.end(signal.SIGKILL)
    (host.data / "controller" / "instances.json").unlink()
    host.start()
    await shown_as(host, "worker", pid=worker, configured=True, outdated="")
    assert len(host.workers()) == 1
    await host.end(signal.SIGKILL)
    (host.data / "controller" / "instances.json").unlink()
    host.configure(RENAMED)
    host.start()
    await shown_as(host, "worker", pid=worker, configured=False)


async def test_an_application_has_one_beat_whatever_the_file_calls_it(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + BEAT) as host:
        beat = (await shown_as(host, "beat")).pid
        await edited(host, SHOP + BEAT + 'name = "clock"\n')
        await shown_as(host, "clock", pid=beat, configured=True)
        assert set(await shown(host)) == {"worker", "clock"}
        await edited(host, SHOP)
        await shown_as(host, "clock", pid=beat, configured=False)
        before = len(await host.of(TaskStarted, celery_name="shop.orders.receive_orders"))

        async def sends() -> bool:
            return len(await host.of(TaskStarted, celery_name="shop.orders.receive_orders")) > before + 1

        await eventually(sends, "what a beat sends that is no longer configured, and keeps its lease")
        await host.commander.stop(ALICE, processes=["clock"])
        assert not lives(beat or 0)
        assert set(await shown(host)) == {"worker"}
