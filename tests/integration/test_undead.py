"""A program of a task whose first thread has ended works on like any other, and ends with its task and its worker."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from signalbox.messages.events import TaskCancelled
from support.apps.undead import Watched, pid_in
from support.eventually import eventually
from support.host import ALICE, ROOT, Host, a_host
from support.stores.choose import a_redis

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = f"""
[apps.undead]
app = "undead"
directory = "{ROOT / "tests/support/apps"}"
[apps.undead.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
SHOP_RESULT_BACKEND = "${{{{SHOP_RESULT_BACKEND}}}}"
[[apps.undead.workers]]
name = "worker"
concurrency = 2
"""
SESSIONS = pytest.mark.parametrize("detached", [False, True], ids=["in its session", "in a session of its own"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    folder = tmp_path_factory.mktemp("undead")
    async with a_redis(folder / "redis") as redis, a_host(folder / "host", redis, CONFIGURATION) as one:
        await one.process_is("worker", "running")
        yield one


@asynccontextmanager
async def a_program(host: Host, path: Path, *, detached: bool) -> AsyncIterator[tuple[str, Watched]]:
    """A task that runs, and the program that it has launched."""
    send = host.celery.send_task
    task_id = str((await asyncio.to_thread(send, "undead.launches", (str(path), detached))).id)

    async def look() -> int:
        return pid_in(path)

    program = Watched(await eventually(look, "the task has launched its program"))
    try:
        yield task_id, program
    finally:
        program.close()


@SESSIONS
async def test_it_is_dead_before_the_cancel_of_its_task_is_answered(
    host: Host, tmp_path: Path, *, detached: bool
) -> None:
    async with a_program(host, tmp_path / "pid", detached=detached) as (task_id, program):
        result = await host.commander.cancel(task_id, ALICE)
        assert program.dead
        assert result.verdict == "cancelled"
        assert program.pid in (await host.seen(TaskCancelled, task_id=task_id)).killed


@SESSIONS
@pytest.mark.parametrize("mode", ["graceful", "immediate"])
async def test_it_is_dead_before_its_worker_is_said_to_be_stopped(
    host: Host, tmp_path: Path, mode: Literal["graceful", "immediate"], *, detached: bool
) -> None:
    async with a_program(host, tmp_path / "pid", detached=detached) as (_, program):
        result = await host.commander.stop(ALICE, mode=mode, timeout=2.0 if mode == "graceful" else None)
        assert program.dead
        assert result.tasks_killed == 1
    await host.commander.start(ALICE)


@SESSIONS
async def test_the_end_of_a_local_run_leaves_none(*, detached: bool) -> None:
    launcher = (
        "import os, sys; from support.apps.undead import launch; print(launch(detached=sys.argv[1] == 'True').pid)"
    )
    code = textwrap.dedent("""
        import asyncio, os, subprocess, sys
        from signalbox_controller.linux.reaper import become_subreaper
        from signalbox_local.processes.descendants import end_descendants
        become_subreaper()
        subprocess.run([sys.executable, "-c", *sys.argv[1:]], check=True)
        sys.stdin.readline()
        print(*asyncio.run(end_descendants()))
    """)
    command = [sys.executable, "-c", code, launcher, str(detached)]
    environ = {"PYTHONPATH": f"{ROOT / 'deploy/local'}:{ROOT / 'tests'}"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True) as run:
        assert run.stdout is not None
        program = Watched(int(run.stdout.readline()))
        try:
            ended, _ = await asyncio.to_thread(run.communicate, "\n")
            assert program.dead
            assert ended.split() == [str(program.pid)]
        finally:
            program.close()
