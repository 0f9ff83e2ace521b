"""Stops and starts that meet each other, parts of a fleet, and what cannot start."""

import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

from signalbox.messages.events import ProcessChanged, TaskFailed, TaskSucceeded
from signalbox_local.ports import free_port
from support.eventually import eventually
from support.host import ALICE, SHOP, a_host, exists
from support.relay import a_relay
from support.stores.server import Redis

BOB = type(ALICE)(name="user:bob", reason="now")
SECOND = """
[[apps.shop.workers]]
name = "second"
concurrency = 1
queues = ["other"]
"""
#: Seconds that a worker has to begin to consume.
START_TIMEOUT = 10.0
IMPATIENT = SHOP.replace('name = "worker"', f'name = "worker"\nstart_timeout = {START_TIMEOUT}')


async def test_a_drain_is_cut_short_by_an_immediate_stop(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        await host.process_is("worker", "running")
        task = await host.running("stubborn.ignore_term", seconds=120.0)
        patient = host.begin(host.commander.stop(ALICE, timeout=600.0, wait=660.0))
        await host.process_is("worker", "draining")
        result = await host.commander.stop(BOB, mode="immediate")
        assert (result.verdict, (await patient).verdict) == ("stopped", "stopped")
        failed = await host.seen(TaskFailed, task_id=task.task_id)
        assert failed.error == "Celery was stopped by bob: now"
        assert not exists(task.pid)


async def test_a_second_stop_may_shorten_the_time_that_is_left_and_never_lengthens_it(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        await host.process_is("worker", "running")
        await host.running("stubborn.ignore_term", seconds=120.0)
        stops = [host.begin(host.commander.stop(ALICE, timeout=600.0, wait=660.0))]
        await host.process_is("worker", "draining")
        stops += [host.begin(host.commander.stop(ALICE, timeout=seconds)) for seconds in (2.0, 900.0)]
        assert {(await stop).verdict for stop in stops} == {"stopped"}


async def test_a_worker_that_is_only_starting_is_stopped_before_it_consumes(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        await host.process_is("worker", "running")
        await host.commander.stop(ALICE, mode="immediate")
        starting = host.begin(host.commander.start(ALICE))
        await host.process_is("worker", "starting")
        pid = await host.pid("worker")
        stopped = await host.commander.stop(BOB)
        assert stopped.verdict == "stopped"
        assert not exists(pid)
        assert (await starting).verdict == "incomplete"
        told = await host.process_is("worker", "stopped")
        assert (told.desired, told.message) == ("stopped", "stopped by bob: now")


async def test_a_part_is_stopped_and_the_rest_works_on(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP + SECOND) as host:
        await host.process_is("worker", "running")
        await host.process_is("second", "running")
        task = await host.running(seconds=1.0)
        result = await host.commander.stop(ALICE, processes=["second"])
        assert [(report.name, report.state) for report in result.processes] == [("second", "stopped")]
        await host.seen(TaskSucceeded, task_id=task.task_id)
        assert exists(await host.pid("worker"))
        waiting = await host.send_to("other", "reports.count_stock", seconds=0.1)
        assert (await host.commander.start(ALICE, processes=["second"])).verdict == "started"
        await host.seen(TaskSucceeded, task_id=waiting)


async def test_without_a_broker_it_says_so_waits_for_one_and_then_consumes(tmp_path: Path, valkey: Redis) -> None:
    port, broker = free_port(), urlsplit(valkey.url_of(1))
    away = broker._replace(netloc=f"{broker.netloc.rpartition(':')[0]}:{port}").geturl()
    async with a_host(tmp_path / "host", valkey, IMPATIENT, SHOP_BROKER_URL=away) as host:
        told = await host.seen(ProcessChanged, name="worker", state="backoff")
        assert told.message.startswith(f"did not begin to consume within {START_TIMEOUT:g} s: ")
        assert "Connection refused" in told.message
        assert "next try in" in told.message
        result = await host.commander.start(ALICE)
        assert result.verdict == "incomplete"
        assert "Connection refused" in result.detail
        async with a_relay("127.0.0.1", valkey.url_of(1), port):
            await host.process_is("worker", "running")
            await host.commander.stop(ALICE, mode="immediate")


async def test_a_worker_that_loses_its_broker_does_not_count_as_running_until_it_consumes_again(
    tmp_path: Path, valkey: Redis
) -> None:
    port, broker = free_port(), urlsplit(valkey.url_of(1))
    there = broker._replace(netloc=f"{broker.netloc.rpartition(':')[0]}:{port}").geturl()
    async with a_host(tmp_path / "host", valkey, IMPATIENT, SHOP_BROKER_URL=there) as host:
        async with a_relay("127.0.0.1", valkey.url_of(1), port):
            worker = (await host.process_is("worker", "running")).pid
            task = await host.running()
        lost = await host.process_is("worker", "starting")
        assert lost.message == "its broker is away; it consumes again as soon as that is back"
        await host.end_hard()
        host.start()

        async def adopted() -> bool:
            told = await host.of(ProcessChanged, name="worker")
            return (told[-1].state, told[-1].message) == ("starting", lost.message) and told[-1].at > lost.at

        await eventually(adopted, "the next controller knows that it waits for its broker")
        # For longer than one gets that has never consumed.
        assert (await host.commander.start(ALICE, wait=START_TIMEOUT + 1.0)).verdict != "started"
        assert exists(task.pid)
        async with a_relay("127.0.0.1", valkey.url_of(1), port):
            assert (await host.process_is("worker", "running")).pid == worker
            await host.running()
            assert exists(task.pid)
            await host.commander.stop(ALICE, mode="immediate")


async def test_one_that_keeps_failing_is_given_up_and_its_siblings_go_on(tmp_path: Path, valkey: Redis) -> None:
    failing = SHOP.replace('name = "worker"', 'name = "worker"\nrestart_limit = 2\noptions = ["--no-such-option"]')
    async with a_host(tmp_path / "host", valkey, failing + SECOND) as host:
        second = (await host.process_is("second", "running")).pid
        told = await host.process_is("worker", "fatal")
        assert told.message.startswith("gave up after 2 failures in a row (exit code 2: ")
        assert "no-such-option" in told.message
        assert told.desired == "running"
        assert await host.pid("second") == second
        result = await host.commander.start(ALICE)
        assert result.verdict == "incomplete"
        assert "no-such-option" in result.detail


async def test_a_worker_that_stands_still_is_not_said_to_run_until_it_does_again(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        running = await host.process_is("worker", "running")
        assert running.pid is not None
        os.kill(running.pid, signal.SIGSTOP)
        unsure = await host.process_is("worker", "unknown")
        assert "its main process is stopped, or stuck" in unsure.message
        assert (await host.commander.start(ALICE, wait=0.5)).verdict != "started"
        os.kill(running.pid, signal.SIGCONT)
        again = await host.process_is("worker", "running")
        assert (again.pid, again.message) == (running.pid, "")
        await host.running(seconds=0.1)


async def test_a_worker_that_stands_still_is_ended_all_the_same(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        pid = (await host.process_is("worker", "running")).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        result = await host.commander.stop(ALICE, timeout=2.0)
        assert result.verdict == "stopped"
        assert not exists(pid)


async def test_a_worker_that_shuts_down_by_itself_has_a_deadline_and_comes_back(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, SHOP.replace("stop_timeout = 10.0", "stop_timeout = 3.0")) as host:
        pid = (await host.process_is("worker", "running")).pid
        assert pid is not None
        task = await host.running("stubborn.ignore_term", seconds=120.0)
        os.kill(pid, signal.SIGTERM)
        leaving = await host.process_is("worker", "draining")
        assert leaving.message == "is shutting down, and was not asked to by us; killed in at most 3.0 s"
        assert leaving.kill_at is not None
        again = await host.process_is("worker", "running")
        assert again.pid != pid
        assert not exists(task.pid)
        failed = await host.seen(TaskFailed, task_id=task.task_id)
        assert failed.outcome in {"stopped", "worker_lost"}
        await host.running(seconds=0.1)


async def test_a_worker_that_shuts_down_while_it_waits_for_its_broker_has_a_deadline_too(
    tmp_path: Path, valkey: Redis
) -> None:
    port, broker = free_port(), urlsplit(valkey.url_of(1))
    there = broker._replace(netloc=f"{broker.netloc.rpartition(':')[0]}:{port}").geturl()
    impatient = SHOP.replace("stop_timeout = 10.0", "stop_timeout = 3.0")
    async with a_host(tmp_path / "host", valkey, impatient, SHOP_BROKER_URL=there) as host:
        async with a_relay("127.0.0.1", valkey.url_of(1), port):
            pid = (await host.process_is("worker", "running")).pid
            assert pid is not None
            await host.running("stubborn.ignore_term", seconds=120.0)
        await host.process_is("worker", "starting")
        os.kill(pid, signal.SIGTERM)
        await host.process_is("worker", "stopping")
        async with a_relay("127.0.0.1", valkey.url_of(1), port):
            assert (await host.process_is("worker", "running")).pid != pid
