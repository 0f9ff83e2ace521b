"""A child that the controller stops for a look at it goes on, whatever becomes of the cancel."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from signalbox_agent.proc import Proc, identify, stat
from signalbox_controller.agents.cancel_request import CancelRequest
from signalbox_controller.agents.protocol import Cancel
from signalbox_controller.agents.running import Run
from signalbox_controller.agents.slots import Slots
from signalbox_controller.cancelling.without_agent import CancelWithoutAgent, Worker
from support.eventually import eventually

#: Each is broken off while the child is being stopped; one in seven in the very moment that it takes to stop.
TRIES = 50


@pytest.fixture
def child() -> Iterator[Proc]:
    with subprocess.Popen(["sleep", "60"]) as process:
        found = identify(process.pid)
        assert found is not None
        yield found
        process.kill()


@pytest.mark.asyncio
async def test_a_cancel_that_is_broken_off_leaves_no_child_stopped(child: Proc, tmp_path: Path) -> None:
    main = identify(os.getpid())
    assert main is not None
    run = Run(task_id="x", run="0000", pid=child.pid, celery_name="a", name="a", worker="w")
    request = CancelRequest(Cancel(command_id="c", task_id="x", grace=1.0), [run], "a")
    outside = CancelWithoutAgent(request, run, child, Worker(main, Slots(tmp_path / "socket", "i")), kill_at=0.0)
    for _ in range(TRIES):
        looking = asyncio.ensure_future(outside._send(signal.SIGTERM))
        await asyncio.sleep(0)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        looks = iter((False, True))  # a signal that was sent may take effect after the first
        await eventually(partial(goes_on, child, looks), "the child goes on")


async def goes_on(child: Proc, looks: Iterator[bool]) -> bool:
    seen = stat(child.pid)
    return seen is not None and seen.state not in "Tt" and next(looks)
