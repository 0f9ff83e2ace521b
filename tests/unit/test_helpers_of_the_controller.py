"""Helper processes: one that only looks ends with the controller, one that gives messages back finishes its work."""

import asyncio
import subprocess
import sys

import psutil
import pytest

from signalbox_controller.linux.helper import wait_for
from signalbox_controller.linux.reaper import Reaper
from support.eventually import HANGS, eventually

#: Runs until its input ends.
PROGRAM = "import sys; sys.stdin.read()"


@pytest.mark.parametrize("outlives_us", [False, True])
async def test_a_helper_that_runs_when_the_controller_ends_is_killed_unless_it_has_work_to_finish(
    outlives_us: bool,
) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, start_new_session=True)
    reaper, program = Reaper(), psutil.Process(process.pid)
    waiting = asyncio.create_task(wait_for(process, reaper, HANGS, outlives_us=outlives_us))
    await asyncio.sleep(0)  # the task has begun
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    async def ended() -> bool:
        reaper.reap()
        return not program.is_running()

    assert process.stdin is not None
    with process.stdin as work:
        if outlives_us:
            assert program.is_running()
            work.close()
        await eventually(ended, "the end of the helper")
