"""A worker none of whose pool processes comes up takes tasks and runs none: it is not shown as one that runs."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from signalbox.messages.events import TaskSucceeded
from support.eventually import eventually
from support.host import Host, a_host
from support.stores.server import Redis

WORKER = """
[apps.slow]
app = "slow_children"
directory = "{examples}/../tests/support/apps"
[apps.slow.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
HOLD = "${{HOLD}}"
[[apps.slow.workers]]
name = "worker"
concurrency = 1
"""


@asynccontextmanager
async def slow(folder: Path, valkey: Redis) -> AsyncIterator[Host]:
    async with a_host(folder / "host", valkey, WORKER, HOLD=str(folder / "hold")) as host:
        yield host


async def runs_nothing(host: Host) -> None:
    async def look() -> bool:
        told = await host.process_is("worker", "starting")
        assert told.message.startswith("can run nothing: none of the 1 processes of its pool is up, see its log")
        assert "worker_proc_alive_timeout" in told.message
        return True

    await eventually(look, "a worker that says that it can run nothing")


async def works(host: Host) -> None:
    await host.process_is("worker", "running")
    task_id = str(host.celery.send_task("empty").id)
    await host.seen(TaskSucceeded, task_id=task_id)


async def test_a_worker_that_loses_its_processes_says_so_until_one_is_up_again(tmp_path: Path, valkey: Redis) -> None:
    async with slow(tmp_path, valkey) as host:
        main = (await host.process_is("worker", "running")).pid
        assert main is not None
        (tmp_path / "hold").touch()
        os.kill(await host.only_child_of(main), signal.SIGKILL)
        await runs_nothing(host)
        (tmp_path / "hold").unlink()
        await works(host)
        assert await host.pid("worker") == main


async def test_a_worker_whose_processes_are_slow_to_start_waits_for_them_and_for_their_successors(
    tmp_path: Path, valkey: Redis
) -> None:
    (tmp_path / "hold").touch()
    async with slow(tmp_path, valkey) as host:
        await runs_nothing(host)
        (tmp_path / "hold").unlink()
        await works(host)
        log = (host.data / "logs" / "worker.log").read_text(encoding="utf-8")
        assert "The pool's processes are slow to start" in log
        assert "Timed out waiting for UP" not in log
