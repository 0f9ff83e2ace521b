"""What becomes of a process whose Celery is too old, or that the agent cannot be installed in."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from signalbox.messages.events import ProcessChanged
from support.beat_hosts import CONFIGURATION
from support.eventually import HANGS, eventually
from support.host import ALICE, SHOP, a_host
from support.proxy import a_proxy
from support.stores.server import Redis

BOB = type(ALICE)(name="user:bob", reason="now")
APPS = Path(__file__).parents[1] / "support" / "apps"
#: Seconds for a launch, and a second one where the first was too slow.
LAUNCHED_WITHIN = 120.0
#: Makes the import of the agent fail, as a Celery does that it does not fit.
BREAKS_THE_AGENT = "import sys\nsys.modules['signalbox_agent.worker'] = None\n"


def too_old(folder: Path) -> Path:
    """An interpreter whose Celery is refused."""
    python = folder / "python"
    python.write_text("#!/bin/sh\necho celery 5.2.7\n")
    python.chmod(0o755)
    return python


async def test_a_celery_that_is_too_old_is_refused_before_it_is_launched(tmp_path: Path, valkey: Redis) -> None:
    python = too_old(tmp_path)
    old = SHOP.replace('app = "shop"', f'app = "shop"\npython = "{python}"')
    async with a_host(tmp_path / "host", valkey, old) as host:
        refused = await host.process_is("worker", "fatal")
        said = f"not launched: {python} has Celery 5.2.7, Signalbox supports Celery 5.3 to 5.7; update Celery"
        assert refused.message == said
        assert {event.pid for event in await host.of(ProcessChanged, name="worker")} == {None}


async def test_a_beat_whose_celery_is_too_old_leaves_its_lease_to_another_host(tmp_path: Path, valkey: Redis) -> None:
    old = CONFIGURATION.replace('app = "ticker"', f'app = "ticker"\npython = "{too_old(tmp_path)}"')
    async with a_host(tmp_path / "old", valkey, old, SIGNALBOX_HOSTNAME="web-01") as first:
        await first.seen(ProcessChanged, host="web-01", name="beat", state="fatal")
        async with a_host(tmp_path / "new", valkey, CONFIGURATION, SIGNALBOX_HOSTNAME="web-02") as other:
            await other.seen(ProcessChanged, host="web-02", name="beat", state="running")
            assert (len(first.workers()), len(other.workers())) == (0, 1)


def without_agent(folder: Path) -> str:
    """The configuration of a worker in which no agent can be installed."""
    packages = folder / "packages"
    packages.mkdir()
    (packages / "sitecustomize.py").write_text(BREAKS_THE_AGENT)
    without = SHOP.replace("[[apps", f'PYTHONPATH = "{packages}"\n[[apps', 1)
    return without.replace("concurrency = 2", "concurrency = 2\nstart_timeout = 8.0")


async def test_a_worker_whose_agent_cannot_be_installed_runs_and_says_so(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey, without_agent(tmp_path)) as host:
        running = await host.process_is("worker", "running")
        assert running.message.startswith("runs without agent, its tasks are not seen")
        result = host.celery.AsyncResult(await host.send("reports.count_stock", seconds=9.0))
        result.get(timeout=HANGS)
        assert (await host.process_is("worker", "running")).pid == running.pid


async def test_a_worker_without_agent_is_running_only_once_it_consumes_and_is_not_ended_before(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_proxy(valkey.url) as broker:
        broker.cut()
        async with a_host(tmp_path / "host", valkey, without_agent(tmp_path), broker.url_of(valkey.url_of(1))) as host:
            unknown = await host.process_is("worker", "unknown", within=LAUNCHED_WITHIN)
            assert unknown.message.startswith("has not logged that it is ready; it may be working, so it is not ended")
            assert "runs without agent, its tasks are not seen" in unknown.message
            assert not await host.of(ProcessChanged, name="worker", state="running")
            broker.mend()
            assert (await host.process_is("worker", "running", within=LAUNCHED_WITHIN)).pid == unknown.pid


async def test_a_worker_that_works_is_not_ended_when_its_agent_has_gone_before_it_was_ready(
    tmp_path: Path, valkey: Redis
) -> None:
    mute = SHOP.replace('app = "shop"', 'app = "mute"').replace("{examples}", str(APPS))
    mute = mute.replace("concurrency = 2", "concurrency = 2\nstart_timeout = 15.0")
    async with a_host(tmp_path / "host", valkey, mute) as host:
        unknown = await host.process_is("worker", "unknown", within=LAUNCHED_WITHIN)
        assert unknown.message == "its agent cannot be reached; it may be working, so it is not ended"
        task = await asyncio.to_thread(host.celery.send_task, "mute.pid")
        assert await asyncio.to_thread(task.get, timeout=HANGS) != unknown.pid
        assert (await host.process_is("worker", "unknown")).pid == unknown.pid
        assert {event.pid for event in await host.of(ProcessChanged, name="worker")} == {None, unknown.pid}


class Gate:
    """An interpreter that says nothing about its Celery, and that not before the test lets it."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "gated"
        self._fifo = folder / "answer"
        os.mkfifo(self._fifo)
        self.python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec cat "{self._fifo}"\nexec "{sys.executable}" "$@"\n')
        self.python.chmod(0o755)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """The body runs while the interpreter is asked, and does not answer."""

        async def reached() -> int | None:
            try:
                return os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads
                return None

        end = await eventually(reached, "the question about Celery")
        try:
            yield
        finally:
            os.close(end)


async def test_the_time_to_start_does_not_run_while_the_interpreter_is_asked_for_its_celery(
    tmp_path: Path, valkey: Redis
) -> None:
    gate, idle = Gate(tmp_path), tmp_path / "idle"
    idle.write_text('#!/bin/sh\n[ "$1" = -c ] || exec sleep 600\n')
    idle.chmod(0o755)
    gated = SHOP.replace('app = "shop"', f'app = "shop"\npython = "{gate.python}"').replace("worker", "gated")
    gated = gated.replace("[[apps.shop.gateds]]", "[[apps.shop.workers]]\nstart_timeout = 1.0")
    other = gated.replace("apps.shop", "apps.other").replace(str(gate.python), str(idle)).replace('"gated"', '"idle"')
    async with a_host(tmp_path / "host", valkey, gated + other) as host:
        async with gate.asked():
            # Both may take equally long, and this one was launched later than the other was to be.
            await host.seen(ProcessChanged, name="idle", state="backoff")
            told = await host.of(ProcessChanged, name="gated")
            assert {event.state for event in told} <= {"stopped", "starting"}

        async def launched() -> ProcessChanged | None:
            return next((event for event in await host.of(ProcessChanged, name="gated") if event.pid), None)

        assert (await eventually(launched, "the launch")).state == "starting"


async def test_a_stop_while_the_interpreter_is_asked_shows_nothing_of_the_launch_before(
    tmp_path: Path, valkey: Redis
) -> None:
    gate = Gate(tmp_path)
    async with a_host(
        tmp_path / "host", valkey, SHOP.replace('app = "shop"', f'app = "shop"\npython = "{gate.python}"')
    ) as host:
        async with gate.asked():
            pass
        await host.process_is("worker", "running", within=LAUNCHED_WITHIN)
        await host.commander.stop(ALICE, mode="immediate")
        assert (await host.process_is("worker", "stopped")).exit_code == -signal.SIGKILL
        starting = host.begin(host.commander.start(ALICE))
        async with gate.asked():
            assert (await host.process_is("worker", "starting")).exit_code is None
            stopping = host.begin(host.commander.stop(BOB, mode="immediate"))
            await host.process_is("worker", "stopping")
        assert (await stopping).verdict == "stopped"
        stopped = await host.process_is("worker", "stopped")
        assert (stopped.exit_code, stopped.message) == (None, "stopped by bob: now")
        assert (await starting).verdict == "incomplete"
