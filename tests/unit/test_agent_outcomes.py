"""What becomes of a task that did not simply return: what its error decides, and what is left to Celery."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry

from signalbox_agent.broker.ending import Ending
from signalbox_agent.child.slot_state import REQUEUED, SlotState
from signalbox_agent.hooks.outcomes import Outcomes, outcome_of
from signalbox_agent.tasks.runs import Run, Runs

OUTCOMES = Outcomes(Runs(), Ending(), shared=False)


def a_run() -> Run:
    run = Run(object(), "t1", "shop.t", "t")
    run.describe("w@h", "celery", "()", "{}")
    run.begin(1_700_000_000.0, 42, "instance")
    return run


def told(outcome: tuple[str, str | None] | None) -> tuple[str, str, str | None] | None:
    """The kind of the event, its outcome, and the status for a late cancel."""
    if outcome is None:
        return None
    event = json.loads(outcome[0])
    return event["type"], event.get("outcome", ""), outcome[1]


def request(*, acknowledged: bool = True) -> Any:
    return SimpleNamespace(acknowledged=acknowledged)


@pytest.mark.parametrize(
    ("error", "acknowledged", "expected"),
    [
        pytest.param(ValueError("no"), True, ("TaskFailed", "error", "failed"), id="an error"),
        pytest.param(MemoryError(), True, ("TaskFailed", "error", "failed"), id="Celery passes it on, and ends"),
        pytest.param(SoftTimeLimitExceeded(), True, ("TaskFailed", "time_limit", "failed"), id="a soft time limit"),
        pytest.param(Retry(exc=OSError("away")), True, ("TaskRetried", "", None), id="a retry"),
        pytest.param(Ignore(), True, ("TaskSucceeded", "ignored", "completed"), id="ignored"),
        pytest.param(Reject("no"), False, ("TaskFailed", "rejected", "failed"), id="rejected"),
        pytest.param(Reject("no", requeue=True), False, ("TaskRequeued", "rejected", None), id="given back"),
        pytest.param(
            Reject("no", requeue=True), True, ("TaskFailed", "rejected", "failed"), id="too late to be given back"
        ),
        pytest.param(WorkerLostError("signal 9"), False, None, id="its process is gone: Celery may give it back"),
        pytest.param(SystemExit(1), False, None, id="it has exited: the same"),
        pytest.param(TimeLimitExceeded(1), False, None, id="a hard time limit: the same"),
        pytest.param(Terminated(-15), False, None, id="somebody's signal"),
    ],
)
def test_an_error_decides_what_becomes_of_its_task_unless_the_process_is_gone(
    error: BaseException, acknowledged: bool, expected: tuple[str, str, str | None] | None
) -> None:
    einfo = SimpleNamespace(exception=error, traceback="Traceback")
    assert told(OUTCOMES.certain(a_run(), request(acknowledged=acknowledged), einfo)) == expected


@pytest.mark.parametrize(
    ("announced", "expected"),
    [
        pytest.param({}, ("TaskFailed", "worker_lost", "failed"), id="nothing, or it raised before it could"),
        pytest.param({"task-rejected": {"requeue": True}}, ("TaskRequeued", "rejected", None), id="given back"),
        pytest.param({"task-retried": {}}, ("TaskRetried", "", None), id="tried again"),
        pytest.param({"task-succeeded": {"result": "1"}}, ("TaskSucceeded", "succeeded", "completed"), id="stored"),
    ],
)
def test_celery_decides_about_a_process_that_is_gone(
    announced: dict[str, dict[str, Any]], expected: tuple[str, str, str | None]
) -> None:
    einfo = SimpleNamespace(exception=WorkerLostError("signal 9 (SIGKILL)"), traceback="")
    assert told(OUTCOMES.of(a_run(), request(), einfo, announced)) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("SUCCESS", ("TaskSucceeded", "succeeded", "completed")),
        ("IGNORED", ("TaskSucceeded", "ignored", "completed")),
        ("FAILURE", ("TaskFailed", "error", "failed")),
        ("REJECTED", ("TaskFailed", "rejected", "failed")),
        ("RETRY", ("TaskRetried", "", None)),
        (REQUEUED, ("TaskRequeued", "rejected", None)),
    ],
)
def test_an_end_in_a_slot_is_the_end_of_the_task_when_it_was_written(
    word: str, expected: tuple[str, str, str | None]
) -> None:
    state = SlotState(word, "t1", 0, 1_700_000_000.0, 1_700_000_002.5, error="ValueError: no", traceback="Traceback")
    outcome = outcome_of(a_run(), state)
    assert told(outcome) == expected
    event = json.loads(outcome[0])
    assert event["at"] == "2023-11-14T22:13:22.500000+00:00"
    assert event.get("traceback", "Traceback") == "Traceback"
