"""Workers that have no agent: what Celery says of them is shown, as not confirmed, and never as more than that."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from signalbox.local.ask import ask
from signalbox.local.protocol import FindUnseen, Unseen
from signalbox.messages.events import ProcessChanged, TaskEvent, TaskFailed, TaskReceived, TaskStarted, TaskSucceeded
from signalbox_local.ports import free_port
from support.eventually import HANGS, eventually
from support.host import ALICE, NAME, ROOT, Host, a_host
from support.relay import a_relay
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

#: A host that watches, and launches a worker of its own on a queue that nobody uses.
WATCHING = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
[apps.shop.watch]
"""
NODE = "foreign@elsewhere"


@contextmanager
def celery(host: Host, log: Path, *options: str, broker: str = "", concurrency: int = 2) -> Iterator[psutil.Popen]:
    """`celery -A shop worker`, without any events, as most people run it; nothing is left of it afterwards."""
    program = str(Path(sys.executable).with_name("celery"))
    environment = os.environ | {
        "SHOP_BROKER_URL": broker or host.broker,
        "SHOP_RESULT_BACKEND": str(host.celery.conf.result_backend),
    }
    line = [program, "-A", "shop", "worker", "-n", NODE, "-c", str(concurrency), "-l", "INFO", *options]
    with log.open("ab") as output:
        process = psutil.Popen(line, cwd=ROOT / "examples", env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for one in family:
            if one.is_running():
                one.kill()
        process.wait(HANGS)


async def watched(host: Host) -> None:
    """Wait until the events of the worker arrive."""

    async def look() -> bool:
        await host.send("reports.count_stock", seconds=0.01)
        return bool(await host.of(TaskSucceeded))

    await eventually(look, "a task of a watched worker")


#: Of a watch, whatever it has to do.
MOST_THREADS = 10


async def watch_of(host: Host) -> psutil.Process:
    """The process that watches."""
    assert host.process is not None
    controller = psutil.Process(host.process.pid)
    return next(one for one in controller.children() if "signalbox_agent.agentless.watch" in one.cmdline())


async def noted(host: Host, task_id: str) -> None:
    """Wait until the next controller would know of the task."""
    file = host.data / "controller" / "watch-shop.json"

    async def look() -> bool:
        noted = await asyncio.to_thread(file.read_text, encoding="utf-8") if file.exists() else ""
        return task_id in noted

    await eventually(look, f"{task_id} in {file.name}")


async def ended(host: Host, task_id: str) -> None:
    """Wait until the task has, of which nobody tells us."""

    async def look() -> bool:
        return bool(host.celery.AsyncResult(task_id).state == "SUCCESS")

    await eventually(look, f"{task_id} ends")


def told(event: TaskEvent) -> tuple[Any, ...]:
    """What must be true of all that is known from Celery alone."""
    return event.certainty, event.host, event.worker


@pytest.fixture(params=["redis", "rabbitmq"], ids=["redis beside rabbitmq", "rabbitmq"])
async def broker(request: pytest.FixtureRequest, valkey: Redis, rabbit: RabbitMQ) -> str:
    return valkey.url_of(1) if request.param == "redis" else rabbit.url_of(rabbit.next_place())


@asynccontextmanager
async def a_watched_worker(folder: Path, redis: Redis, broker: str, **options: Any) -> AsyncIterator[Host]:
    async with a_host(folder / "host", redis, WATCHING, broker) as host:
        with celery(host, folder / "celery.log", **options):
            await watched(host)
            yield host


async def test_a_worker_whose_agent_could_not_be_installed_is_watched(tmp_path: Path, valkey: Redis) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "sitecustomize.py").write_text("import sys\nsys.modules['signalbox_agent.worker'] = None\n")
    own = f'PYTHONPATH = "{packages}"\n[apps.shop.watch]\n[[apps.shop.workers]]\nname = "worker"\n'
    async with a_host(tmp_path / "host", valkey, WATCHING.replace("[apps.shop.watch]\n", own)) as host:
        assert told(await host.running()) == ("told", "", f"worker@{NAME}")


async def test_a_cancel_is_passed_on_and_its_answer_claims_nothing(tmp_path: Path, valkey: Redis, broker: str) -> None:
    async with a_watched_worker(tmp_path, valkey, broker, concurrency=1) as host:
        task_id = await host.send("stubborn.ignore_term", seconds=4.0)
        await host.seen(TaskStarted, task_id=task_id)
        waiting = await host.send("reports.count_stock", seconds=0.1)
        result = await host.commander.cancel(task_id, ALICE)
        assert (result.verdict, result.task_name) == ("unproven", "ignore_term")
        assert (
            f"its worker {NODE} has no agent of Signalbox, was asked through Celery, and took the order"
            in result.detail
        )
        assert "signalbox doctor" in result.detail
        announced = await host.seen(TaskFailed, task_id=task_id)
        assert (announced.outcome, announced.certainty) == ("revoked", "inferred")
        # It ignores TERM: what Celery announced was not true, and what comes of it is told, and wins.
        assert (await host.seen(TaskSucceeded, task_id=task_id)).certainty == "told"
        await host.seen(TaskSucceeded, task_id=waiting)


async def test_many_are_passed_on_together_and_each_has_its_answer(tmp_path: Path, valkey: Redis) -> None:
    async with a_watched_worker(tmp_path, valkey, valkey.url_of(1), concurrency=2) as host:
        started = [await host.running(seconds=60.0) for _ in range(2)]
        unknown = [str(uuid.uuid4()) for _ in range(1_000)]
        result = await host.commander.cancel_many([*unknown, *(one.task_id for one in started)], ALICE)
        assert {task.task_id: task.verdict for task in result.tasks if task.task_id not in unknown} == {
            one.task_id: "unproven" for one in started
        }
        assert (await watch_of(host)).num_threads() < MOST_THREADS
        reply = await asyncio.to_thread(ask, host.data, FindUnseen(), HANGS)
        assert isinstance(reply, Unseen)
        assert reply.nodes == (NODE,)
        for one in started:
            assert (await host.seen(TaskFailed, task_id=one.task_id)).certainty == "inferred"


async def test_the_life_of_a_task_is_told_but_not_as_seen_also_where_it_ends_while_the_watch_is_away(
    tmp_path: Path, valkey: Redis, broker: str
) -> None:
    async with a_watched_worker(tmp_path, valkey, broker) as host:
        started = await host.running(seconds=4.0)
        received = await host.seen(TaskReceived, task_id=started.task_id)
        await noted(host, started.task_id)
        await host.end_hard()
        await ended(host, started.task_id)
        host.start()
        done = await host.seen(TaskSucceeded, task_id=started.task_id)
        for event in (received, started, done):
            assert told(event) == ("told", "", NODE)
        assert (received.celery_name, done.run) == ("shop.reports.count_stock", started.run)
        assert not await host.of(ProcessChanged, node=NODE)


async def test_a_worker_that_is_killed_leaves_tasks_of_which_nobody_claims_to_know_the_end(
    tmp_path: Path, valkey: Redis
) -> None:
    configuration = WATCHING + "lost_after = 3.0\n"
    async with a_host(tmp_path / "host", valkey, configuration) as host:
        with celery(host, tmp_path / "celery.log") as worker:
            await watched(host)
            task = await host.running(seconds=60.0)
            worker.kill()
            failed = await host.seen(TaskFailed, task_id=task.task_id)
            assert (failed.outcome, failed.certainty) == ("worker_lost", "inferred")
            assert failed.error == "Nothing is heard from its worker any more, and nobody saw how it ended"


async def test_a_watch_that_dies_is_launched_again_and_one_whose_broker_is_away_comes_back(
    tmp_path: Path, valkey: Redis
) -> None:
    port = free_port()
    broker = valkey.url_of(1)
    there = broker.replace(f":{urlsplit(broker).port}/", f":{port}/")
    async with a_host(tmp_path / "host", valkey, WATCHING, broker, SHOP_BROKER_URL=there) as host:
        with celery(host, tmp_path / "celery.log"):
            async with a_relay("127.0.0.1", broker, port):
                await watched(host)
                (await watch_of(host)).kill()
                task = await host.running(seconds=4.0)
            await ended(host, task.task_id)  # its events went nowhere
            async with a_relay("127.0.0.1", broker, port):
                done = await host.seen(TaskSucceeded, task_id=task.task_id)
                assert told(done) == ("told", "", NODE)


async def test_a_worker_that_has_an_agent_is_left_to_it(tmp_path: Path, valkey: Redis) -> None:
    own = WATCHING + '[[apps.shop.workers]]\nname = "worker"\noptions = ["-E"]\n'
    async with a_host(tmp_path / "host", valkey, own) as host:
        await host.process_is("worker", "running")
        with celery(host, tmp_path / "celery.log", "-Q", "foreign"):
            await eventually(lambda: _foreign(host), "the other worker is watched")
            task_id = await host.send("reports.count_stock", seconds=0.1)
            done = await host.seen(TaskSucceeded, task_id=task_id)
            assert (done.certainty, done.worker) == ("seen", f"worker@{NAME}")
            await _foreign(host)
            assert {event.certainty for event in await host.of(TaskSucceeded, task_id=task_id)} == {"seen"}


async def _foreign(host: Host) -> bool:
    await host.send_to("foreign", "reports.count_stock", seconds=0.01)
    return bool(await host.of(TaskSucceeded, worker=NODE))
