"""Times in events of a host whose clock is off: corrected to those of a right clock, and those of others left alone."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from signalbox.messages.events import HostSeen, ProcessChanged, TaskReceived, TaskSucceeded, WaitingCompared
from signalbox_controller.state.corrected import corrected
from support.history import after

TASK: dict[str, Any] = {"task_id": "t1", "run": "r", "celery_name": "a.b", "name": "b", "worker": "w@h"}


def a_process(seconds: float) -> ProcessChanged:
    at = after(seconds)
    return ProcessChanged(at=at, since=at, kill_at=at, name="w", kind="worker", state="running", desired="running")


@pytest.mark.parametrize("ahead", [120.0, -120.0, 3600.5])
def test_each_time_of_the_host_is_corrected(ahead: float) -> None:
    assert corrected(a_process(ahead), ahead) == a_process(0)
    seen = HostSeen(at=after(ahead), processes=(a_process(ahead),))
    assert corrected(seen, ahead) == HostSeen(at=after(0), processes=(a_process(0),))
    ended = TaskSucceeded(at=after(ahead + 9), started_at=after(ahead), **TASK)
    assert corrected(ended, ahead) == TaskSucceeded(at=after(9), started_at=after(0), **TASK)


def test_the_times_of_others_are_left_alone() -> None:
    eta = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
    received = corrected(TaskReceived(at=after(60), eta=eta, **TASK), 60.0)
    assert (received.at, received.eta) == (after(0), eta)
    compared = corrected(WaitingCompared(at=after(60), asked_at=after(0)), 60.0)
    assert (compared.at, compared.asked_at) == (after(0), after(0))


def test_a_tolerated_difference_changes_nothing() -> None:
    event = a_process(1)
    assert corrected(event, 0.0) is event
    assert corrected(event, 5.0).at == after(1) - timedelta(seconds=5)
