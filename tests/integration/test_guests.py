"""Workers that people launch as they always did, with Signalbox in them by one variable."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest

from signalbox.local.ask import ask
from signalbox.local.protocol import FindUnseen, Unseen
from signalbox.messages.events import HostSeen, ProcessChanged, TaskFailed, TaskSucceeded
from support.agent.worker import MONITORING
from support.eventually import HANGS, eventually
from support.host import ALICE, NAME, ROOT, Host, a_host, exists, lives
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

#: A host that launches a worker of its own on a queue that nobody uses.
APART = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
[[apps.shop.workers]]
name = "worker"
queues = ["apart"]
concurrency = 1
"""


@contextmanager
def celery(host: Host, log: Path, *options: str, before: Sequence[str] = (), **environ: str) -> Iterator[psutil.Popen]:
    """`celery -A shop worker …`, as somebody types it, `before` in front; nothing is left of it afterwards."""
    program = str(Path(sys.executable).with_name("celery"))
    results = host.celery.conf.result_backend
    environment = os.environ | {"SHOP_BROKER_URL": host.broker, "SHOP_RESULT_BACKEND": results} | environ
    line = [*before, program, "-A", "shop", "worker", "-c", "2", "-l", "INFO", *options]
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


def guest_path(host: Host) -> str:
    """What one puts into PYTHONPATH."""
    return str(host.data / "guest")


@asynccontextmanager
async def a_guest(host: Host, log: Path, node: str = f"celery@{NAME}") -> AsyncIterator[psutil.Popen]:
    """One that has joined, and consumes."""
    with celery(host, log, "-n", node, PYTHONPATH=guest_path(host)) as process:
        await host.process_is(node.partition("@")[0], "running")
        yield process


async def says(log: Path, words: str) -> None:
    """Wait for a line of a worker's log."""

    async def look() -> bool:
        return words in await asyncio.to_thread(log.read_text, encoding="utf-8")

    await eventually(look, f"{words!r} in {log.name}")


@pytest.fixture
async def host(tmp_path: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(tmp_path / "host", valkey, APART) as one:
        await one.process_is("worker", "running")
        yield one


async def test_a_worker_that_somebody_launched_is_seen_and_its_task_is_cancelled_with_proof(
    host: Host, tmp_path: Path
) -> None:
    async with a_guest(host, tmp_path / "celery.log") as guest:
        told = await host.process_is("celery", "running")
        assert (told.guest, told.pid, told.node, told.desired) == (True, guest.pid, f"celery@{NAME}", "running")
        task = await host.running("stubborn.run_detached_subprocess", seconds=120.0)
        grandchild = await host.only_child_of(task.pid)
        result = await host.commander.cancel(task.task_id, ALICE, grace=0.5)
        assert (result.verdict, exists(task.pid), lives(grandchild)) == ("cancelled", False, False)
        quick = await host.send("reports.count_stock", seconds=0.1)
        assert (await host.seen(TaskSucceeded, task_id=quick)).worker == f"celery@{NAME}"


async def test_the_tasks_of_a_guest_that_somebody_kills_are_lost_and_nothing_of_them_runs_on(
    host: Host, tmp_path: Path
) -> None:
    async with a_guest(host, tmp_path / "celery.log") as guest:
        tasks = [await host.running(), await host.running("stubborn.run_detached_subprocess", seconds=120.0)]
        grandchild = await host.only_child_of(tasks[1].pid)
        os.kill(guest.pid, signal.SIGKILL)
        for task in tasks:
            failed = await host.seen(TaskFailed, task_id=task.task_id)
            assert (failed.outcome, failed.run, lives(task.pid)) == ("worker_lost", task.run, False)
        assert not lives(grandchild)
        told = await host.process_is("celery", "stopped")
        assert (told.guest, told.desired, told.pid) == (True, "stopped", None)
        assert "launched by others" in told.message
        assert not list((host.data / "run").glob(f"{told.instance}.children")), "what its children said stayed here"


async def test_a_restarted_controller_finds_its_guests_again_and_tells_what_became_of_the_others(
    host: Host, tmp_path: Path
) -> None:
    stays, goes = f"stays@{NAME}", f"goes@{NAME}"
    async with a_guest(host, tmp_path / "stays.log", stays), a_guest(host, tmp_path / "goes.log", goes) as going:
        tasks = [await host.running() for _ in range(4)]  # two for each
        await host.end_hard()
        await host.missed_by(3)
        going.kill()
        host.start()
        await host.seen_again(HostSeen)
        await host.process_is("goes", "stopped")
        assert (await host.process_is("stays", "running")).guest
        for task in tasks:
            if task.worker == goes:
                assert (await host.seen(TaskFailed, task_id=task.task_id)).outcome == "worker_lost"
            else:
                assert (await host.commander.cancel(task.task_id, ALICE)).verdict == "cancelled"
            assert not lives(task.pid)


async def test_a_second_worker_of_the_same_name_is_shown_beside_the_first_and_the_log_says_so(
    host: Host, tmp_path: Path
) -> None:
    async with a_guest(host, tmp_path / "one.log"):
        with celery(host, tmp_path / "two.log", "-n", f"celery@{NAME}", PYTHONPATH=guest_path(host)) as second:
            assert (await host.process_is(f"celery-{second.pid}", "running")).pid == second.pid
            assert "has a name that is taken on this host" in host.log


async def test_a_stop_leaves_a_guest_alone_and_says_that_celery_still_runs_there(host: Host, tmp_path: Path) -> None:
    async with a_guest(host, tmp_path / "celery.log") as guest:
        named = await host.commander.stop(ALICE, processes=["celery"], mode="immediate")
        assert named.verdict == "incomplete"
        assert "launched by others: stop and start it where it was started" in named.detail
        everything = await host.commander.stop(ALICE, mode="immediate")
        states = {report.name: (report.state, report.guest) for report in everything.processes}
        assert states == {"worker": ("stopped", False), "celery": ("running", True)}
        assert everything.verdict == "incomplete"
        assert (await host.commander.restart(ALICE, processes=["celery"])).verdict == "incomplete"
        assert guest.is_running()
        await host.running(seconds=0.1)


async def test_a_guest_that_somebody_starts_anew_by_hup_is_the_same_process_and_its_tasks_are_followed(
    host: Host, tmp_path: Path
) -> None:
    async with a_guest(host, tmp_path / "celery.log") as guest:
        first = (await host.process_is("celery", "running")).instance
        guest.send_signal(signal.SIGHUP)

        async def anew() -> bool:
            told = await host.of(ProcessChanged, name="celery", state="running")
            return told[-1].instance != first

        await eventually(anew, "another life of the same worker")
        assert (await host.process_is("celery", "running")).pid == guest.pid
        quick = await host.send("reports.count_stock", seconds=0.1)
        await host.seen(TaskSucceeded, task_id=quick)


async def test_an_idle_worker_without_an_agent_is_found_on_its_machine_with_the_reason_and_no_other_is(
    host: Host, tmp_path: Path
) -> None:
    async def unseen() -> dict[int, str]:
        reply = await asyncio.to_thread(ask, host.data, FindUnseen(), HANGS)
        assert isinstance(reply, Unseen)
        return {worker.pid: worker.reason for worker in reply.workers}

    async with a_guest(host, tmp_path / "guest.log") as guest:
        with celery(host, tmp_path / "idle.log", "-n", f"idle@{NAME}") as idle:
            await says(tmp_path / "idle.log", "ready.")
            found = await unseen()
            assert found[idle.pid] == f"its PYTHONPATH does not name {guest_path(host)}"
            children = {child.pid for child in (*idle.children(), *guest.children())}
            assert not found.keys() & {guest.pid, await host.pid("worker"), *children}


@pytest.mark.parametrize("program", ["opentelemetry-instrument", "ddtrace-run"])
async def test_a_worker_that_monitoring_of_others_launches_joins(host: Host, tmp_path: Path, program: str) -> None:
    before = [str(MONITORING / "bin" / program)]
    path = os.pathsep.join((guest_path(host), str(MONITORING)))
    quiet = {"OTEL_SDK_DISABLED": "true", "DD_TRACE_ENABLED": "false", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
    with celery(
        host, tmp_path / "celery.log", "-n", f"celery@{NAME}", before=before, PYTHONPATH=path, **quiet
    ) as guest:
        joined = await host.process_is("celery", "running")
        assert (joined.pid, joined.guest, joined.message.startswith("launched by others")) == (guest.pid, True, True)


async def test_a_worker_with_a_sitecustomize_that_hides_ours_joins_all_the_same(host: Host, tmp_path: Path) -> None:
    """As `opentelemetry-instrument` puts one in front of whatever PYTHONPATH there is."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("", encoding="utf-8")
    path = os.pathsep.join((str(own), guest_path(host)))
    with celery(host, tmp_path / "celery.log", "-n", f"celery@{NAME}", PYTHONPATH=path) as guest:
        assert (await host.process_is("celery", "running")).pid == guest.pid
        task = await host.running()
        assert (await host.commander.cancel(task.task_id, ALICE)).verdict == "cancelled"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a pid namespace")
async def test_a_worker_that_may_not_join_is_shown_with_the_reason_and_logs_it_and_counts_in_a_stop(
    host: Host, tmp_path: Path
) -> None:
    log = tmp_path / "pod.log"
    apart = ("unshare", "--pid", "--fork", "--mount-proc")
    with celery(host, log, "-n", f"pod@{NAME}", before=apart, PYTHONPATH=guest_path(host)):
        shown = await host.process_is("pod", "unknown")
        assert (shown.guest, "another pid namespace" in shown.message) == (True, True)
        await says(log, "this worker has not joined")
        assert "another pid namespace" in log.read_text(encoding="utf-8")
        stop = await host.commander.stop(ALICE, mode="immediate")
        assert (stop.verdict, "pod is unknown: has not joined" in stop.detail) == ("incomplete", True)
    assert (await host.process_is("pod", "stopped")).message == "ended; it had not joined"


async def test_a_worker_works_on_when_signalbox_is_not_there(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, APART) as host:
        await host.process_is("worker", "running")
        await host.end(signal.SIGTERM)
        places = {"gone.log": guest_path(host), "nowhere.log": str(tmp_path / "nowhere")}
        for log, place in places.items():
            with celery(host, tmp_path / log, "-n", f"{log}@{NAME}", PYTHONPATH=place):
                await says(tmp_path / log, "ready.")
                task = await asyncio.to_thread(
                    host.celery.send_task, "shop.reports.count_stock", kwargs={"seconds": 0.1}
                )
                await says(tmp_path / log, f"[{task.id}] succeeded")
            assert "Signalbox" not in (tmp_path / log).read_text(encoding="utf-8")


async def test_with_rabbitmq_a_guest_is_cancelled_with_proof_and_lost_when_killed(
    tmp_path: Path, valkey: Redis, rabbit: RabbitMQ
) -> None:
    broker = rabbit.url_of(rabbit.next_place())
    async with a_host(tmp_path / "host", valkey, APART, broker) as host:
        await host.process_is("worker", "running")
        async with a_guest(host, tmp_path / "celery.log") as guest:
            task, other = await host.running("stubborn.ignore_term", seconds=60.0), await host.running()
            result = await host.commander.cancel(task.task_id, ALICE, grace=0.5)
            assert (result.verdict, exists(task.pid)) == ("cancelled", False)
            os.kill(guest.pid, signal.SIGKILL)
            failed = await host.seen(TaskFailed, task_id=other.task_id)
            assert (failed.outcome, lives(other.pid)) == ("worker_lost", False)
