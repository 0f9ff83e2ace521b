"""The exit of a process: what it leads to, and what a person reads of it."""

from pathlib import Path
from typing import Any

import pytest

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.processes.backoff import Backoff, Failures
from signalbox_controller.processes.exit_reason import ExitReport, read
from signalbox_controller.processes.machine import Input
from signalbox_controller.words import Order

WORKER = ProcessSpec(
    name="worker",
    kind="worker",
    app="shop",
    label="shop",
    directory=Path(),
    python="python",
    environment={},
    options=(),
    stop_timeout=10.0,
    start_timeout=20.0,
)
LOCKED = "ResourceLocked: (405) RESOURCE_LOCKED - cannot obtain exclusive access to locked queue"
HELD = "the broker holds the name worker@web-01 for another worker, or has not noticed the end of the last one yet"
REFUSED = "consumer: Cannot connect to redis://127.0.0.1:1: Connection refused"


def told(failures: Failures | None = None, **fields: Any) -> tuple[Input, str]:
    usual: dict[str, Any] = {"how": "exit code 1", "code": 1, "relaunch": True, "asked": False}
    report = ExitReport(**(usual | fields))
    return read(report, WORKER, "worker@web-01", failures or Failures(Backoff(), 8))


@pytest.mark.parametrize(
    ("fields", "event", "message"),
    [
        ({"words": "boom"}, Input.EXITED_TO_RETRY, "failed (exit code 1: boom)"),
        ({"code": 0, "how": "exit code 0"}, Input.EXITED_FOR_GOOD, "ended by itself (exit code 0)"),
        (
            {"relaunch": False, "asked": True, "order": Order(by="user:alice", reason="maintenance")},
            *(Input.EXITED, "stopped by alice: maintenance"),
        ),
        ({"asked": True, "order": Order(by="user:alice")}, Input.EXITED_TO_RESTART, "restarted by alice"),
        (
            {"fault": "unready", "code": -9, "how": "signal 9 (SIGKILL)", "words": REFUSED},
            *(Input.EXITED_TO_WAIT, f"did not begin to consume within 20 s: {REFUSED}"),
        ),
        (
            {"fault": "hung", "code": 0, "how": "exit code 0"},
            *(Input.EXITED_TO_WAIT, "its scheduler hung, and was ended: it had not ticked for too long"),
        ),
        (
            {"fault": "lingered", "code": 0, "how": "exit code 0"},
            Input.EXITED_TO_RETRY,
            "failed (shut down by itself, did not end in time, and was ended: exit code 0)",
        ),
        (
            {"words": LOCKED},
            Input.EXITED_TO_WAIT,
            f"{HELD}: {LOCKED}",
        ),
    ],
)
def test_an_end_is_told_with_its_reason(fields: dict[str, Any], event: Input, message: str) -> None:
    assert told(**fields) == (event, message)


def test_a_name_that_is_held_never_wears_out_a_worker() -> None:
    failures = Failures(Backoff(), 2)
    assert {told(failures, words=LOCKED)[0] for _ in range(10)} == {Input.EXITED_TO_WAIT}


def test_the_last_failure_says_how_many_there_were() -> None:
    failures = Failures(Backoff(), 2)
    told(failures, words="boom")
    assert told(failures, words="boom") == (
        Input.EXITED_TOO_OFTEN,
        "gave up after 2 failures in a row (exit code 1: boom); start it again once the cause is gone",
    )
