"""What becomes of a process whose Celery is too old, or that the agent cannot be installed in."""

from pathlib import Path

from signalbox.messages.events import ProcessChanged
from support.beat_hosts import CONFIGURATION
from support.host import SHOP, a_host
from support.stores.server import Redis

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


async def test_a_worker_whose_agent_cannot_be_installed_runs_and_says_so(tmp_path: Path, valkey: Redis) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "sitecustomize.py").write_text(BREAKS_THE_AGENT)
    without = SHOP.replace("[[apps", f'PYTHONPATH = "{packages}"\n[[apps', 1)
    without = without.replace("concurrency = 2", "concurrency = 2\nstart_timeout = 8.0")
    async with a_host(tmp_path / "host", valkey, without) as host:
        running = await host.process_is("worker", "running")
        assert running.message.startswith("runs without agent, its tasks are not seen")
        result = host.celery.AsyncResult(await host.send("reports.count_stock", seconds=9.0))
        result.get(timeout=30.0)
        assert (await host.process_is("worker", "running")).pid == running.pid
