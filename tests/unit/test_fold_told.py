"""What Celery's own events tell, in the record: never as confirmed, and never against what somebody saw."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec

from signalbox.messages.events import AnyTaskEvent, TaskFailed, TaskStarted, TaskSucceeded
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.rows import TaskRow

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOLD: dict[str, Any] = {
    "task_id": "t1",
    "run": "0000.0000000000000.events.0",
    "celery_name": "shop.charge",
    "name": "charge",
    "worker": "celery@web-09",
    "certainty": "told",
}
STARTED = TaskStarted(at=NOW, pid=0, **TOLD)
DONE = TaskSucceeded(at=NOW + timedelta(seconds=9), **TOLD)
GUESSED = TaskFailed(
    at=NOW + timedelta(seconds=5), outcome="worker_lost", error="silent", **{**TOLD, "certainty": "inferred"}
)
#: By an agent: the worker was started anew with one, and the task came again.
SEEN = TaskStarted(
    at=NOW + timedelta(seconds=20),
    pid=4711,
    host="web-09",
    **{**TOLD, "run": "0000.1772323220000.4711-123.4712", "certainty": "seen"},
)


def tasks(*events: AnyTaskEvent) -> list[TaskRow]:
    """The row after each order of these events."""
    return [fold(order).tasks["t1"] for order in permutations(events)]


def test_what_was_told_is_shown_as_not_confirmed_and_on_no_host() -> None:
    for task in tasks(STARTED, DONE):
        assert (task.status, task.confirmed, task.host, task.worker) == ("completed", False, None, "celery@web-09")
        assert (task.started_at, task.pid) == (NOW, None)


def test_an_end_that_was_told_is_shown_rather_than_an_earlier_one_that_was_guessed() -> None:
    for task in tasks(STARTED, GUESSED, DONE):
        assert (task.status, task.outcome, task.confirmed) == ("completed", "succeeded", False)


def test_what_an_agent_saw_is_shown_rather_than_anything_that_was_told() -> None:
    for task in tasks(STARTED, DONE, SEEN):
        assert (task.status, task.confirmed, task.host, task.pid) == ("running", True, "web-09", 4711)


def test_several_hosts_that_watch_the_same_worker_make_one_row() -> None:
    later = msgspec.structs.replace(STARTED, at=NOW + timedelta(milliseconds=3))
    batch = fold([STARTED, later, DONE, DONE])
    assert len(batch.logs) == 1
    assert batch.tasks["t1"].started_at == NOW
