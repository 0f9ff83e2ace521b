"""Which processes are ended after a worker that others launched has died: its own, and nobody who has their pid now."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from signalbox.messages.base import utc_now
from signalbox_agent.proc import Proc, identify
from signalbox_controller.agents.running import Run
from signalbox_controller.external.orphans import orphans_of

MAIN = Proc(1, -1)


@pytest.fixture
def child() -> Iterator[Proc]:
    """A process that lives on."""
    process = subprocess.Popen(["sleep", "60"])
    found = identify(process.pid)
    assert found is not None
    yield found
    process.kill()
    process.wait()


def run(pid: int, started_at: datetime | None) -> Run:
    return Run(task_id="t", run="0000", pid=pid, celery_name="t", name="t", worker="w", started_at=started_at)


def test_a_child_that_was_there_when_its_task_began_is_found_as_long_as_it_lives(child: Proc) -> None:
    find = orphans_of(MAIN, [run(child.pid, utc_now())])
    assert find() == [child]
    handle = os.pidfd_open(child.pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    select.select([handle], [], [], 10.0)
    os.close(handle)
    assert find() == []


@pytest.mark.parametrize("began", [timedelta(seconds=30), None])
def test_a_process_that_came_after_the_task_is_somebody_else(child: Proc, began: timedelta | None) -> None:
    started_at = None if began is None else utc_now() - began
    assert orphans_of(MAIN, [run(child.pid, started_at)])() == []


def test_a_task_that_ran_in_the_worker_itself_left_nobody(child: Proc) -> None:
    assert orphans_of(child, [run(child.pid, utc_now())])() == []
