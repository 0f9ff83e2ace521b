"""What a stop answers of a process, whose end may not be that of all that it had started."""

import os

import pytest

from signalbox.messages.receipts import ProcessReport
from signalbox_agent.proc import Proc, identify
from signalbox_controller.processes.status import after_a_stop

STOPPED = ProcessReport(name="worker", kind="worker", state="stopped", message="outlived KILL: pid 7")
GONE = Proc(1, 1)


@pytest.fixture
def alive() -> Proc:
    here = identify(os.getpid())
    assert here is not None
    return here


def test_what_has_ended_is_stopped_with_its_proof() -> None:
    for survivors in ([], [GONE]):
        report = after_a_stop(STOPPED, "cgroup", survivors)
        assert (report.state, report.proof) == ("stopped", "cgroup")


def test_while_something_lives_that_outlived_its_kill_it_is_not_stopped(alive: Proc) -> None:
    report = after_a_stop(STOPPED, "cgroup", [GONE, alive])
    assert (report.state, report.proof, report.message) == ("stopping", None, STOPPED.message)


def test_one_that_runs_is_reported_as_it_is() -> None:
    running = ProcessReport(name="worker", kind="worker", state="running")
    assert after_a_stop(running, "cgroup", []) == running
