"""What the watch makes of Celery's events: the same run whoever hears of it, and never more than was told."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from signalbox.messages.events import AnyTaskEvent
from signalbox_agent.agentless.inspect import Inspector
from signalbox_agent.agentless.tasks import OpenTasks
from signalbox_agent.tasks.ids import key_of

NODE, AT = "celery@web-09", 1_800_000_000.0
RECEIVED = {"type": "task-received", "name": "shop.orders.charge", "args": "(1,)", "retries": 2}


class Told:
    """A watch, and what it has told."""

    def __init__(self, *agents: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.watched = OpenTasks(self.events.append, {}, list(agents))

    def hear(self, **said: Any) -> None:
        self.watched.take({"hostname": NODE, "uuid": "t", "timestamp": AT} | said)


def kinds(told: Told) -> list[str]:
    return [event["type"] for event in told.events]


@pytest.mark.parametrize(
    ("said", "kind", "fields"),
    [
        ({"type": "task-succeeded", "result": "7", "runtime": 1.5}, "TaskSucceeded", {"result": "7", "runtime": 1.5}),
        ({"type": "task-failed", "exception": "KeyError('x')"}, "TaskFailed", {"outcome": "error"}),
        ({"type": "task-failed", "exception": "WorkerLostError('…')"}, "TaskFailed", {"outcome": "worker_lost"}),
        ({"type": "task-failed", "exception": "ExceptionWithTraceback()"}, "TaskFailed", {"outcome": "worker_lost"}),
        ({"type": "task-failed", "exception": "TimeLimitExceeded(3)"}, "TaskFailed", {"outcome": "time_limit"}),
        ({"type": "task-retried", "exception": "OSError()"}, "TaskRetried", {"error": "OSError()"}),
        ({"type": "task-rejected", "requeue": True}, "TaskRequeued", {}),
        ({"type": "task-rejected", "requeue": False}, "TaskFailed", {"outcome": "rejected"}),
        # Sent when the signal is: nobody has seen an end.
        ({"type": "task-revoked", "terminated": True}, "TaskFailed", {"outcome": "revoked", "certainty": "inferred"}),
        ({"type": "task-revoked", "expired": True}, "TaskDropped", {"outcome": "expired", "certainty": "told"}),
        ({"type": "task-revoked"}, "TaskDropped", {"outcome": "revoked", "certainty": "told"}),
    ],
)
def test_how_each_end_is_told(said: dict[str, Any], kind: str, fields: dict[str, Any]) -> None:
    told = Told()
    told.hear(**RECEIVED)
    told.hear(type="task-started", pid=7)
    told.hear(**said)
    assert kinds(told) == ["TaskReceived", "TaskStarted", kind]
    assert {name: told.events[-1][name] for name in fields} == fields
    assert told.watched.open == {}


def test_what_is_told_is_what_the_contract_takes() -> None:
    told = Told()
    told.hear(**RECEIVED)
    told.hear(type="task-started", pid=7)
    decoder = msgspec.json.Decoder(AnyTaskEvent)
    events = [decoder.decode(msgspec.json.encode(event)) for event in told.events]
    assert [(event.certainty, event.host, event.worker, event.retries) for event in events] == [
        ("told", "", NODE, 2)
    ] * 2
    assert [event.run for event in events] == ["0002", "0002.0000000000000.events.0"]
    assert {(event.celery_name, event.name) for event in events} == {("shop.orders.charge", "charge")}


def test_an_inspection_tells_only_what_was_not_heard() -> None:
    told = Told()
    told.hear(**RECEIVED)
    request = {"id": "t", "name": "shop.orders.charge", "args": [1], "kwargs": {}, "time_start": AT, "worker_pid": 9}
    for _ in range(2):
        told.watched.listed(NODE, request, active=True)
    assert kinds(told) == ["TaskReceived", "TaskStarted"]
    assert told.events[-1]["pid"] == 9
    told.watched.listed(NODE, {**request, "id": "other"}, active=False)
    assert kinds(told)[2:] == ["TaskReceived"]


def test_an_answer_that_is_older_than_the_end_of_a_task_does_not_open_it_again() -> None:
    told = Told()
    told.hear(**RECEIVED)
    told.hear(type="task-succeeded", result="7", runtime=1.5)
    told.watched.listed(NODE, {"id": "t", "name": "shop.orders.charge", "retries": 2}, active=True)
    assert kinds(told) == ["TaskReceived", "TaskSucceeded"]
    told.hear(**RECEIVED)  # it was delivered again
    told.watched.listed(NODE, {"id": "t", "name": "shop.orders.charge", "retries": 2}, active=True)
    assert kinds(told)[2:] == ["TaskReceived", "TaskStarted"]


def test_a_worker_that_has_an_agent_is_passed_over() -> None:
    told = Told(NODE)
    told.hear(**RECEIVED)
    assert told.events == []


def test_a_long_id_is_told_by_its_key_and_revoked_as_it_is() -> None:
    told, long = Told(), "x" * 3000
    told.hear(**RECEIVED, uuid=long)
    told.watched.listed(NODE, {"id": long, "name": "shop.orders.charge", "retries": 2}, active=True)
    assert [(event["type"], event["task_id"], event["full_id"]) for event in told.events] == [
        ("TaskReceived", key_of(long), long),
        ("TaskStarted", key_of(long), long),
    ]
    asked: list[list[str]] = []
    control = SimpleNamespace(revoke=lambda ids, **_: asked.append(ids))
    inspector = Inspector(SimpleNamespace(control=control), told.watched, enable=False, lost_after=60.0)
    inspector.revoke([key_of(long), "unknown"])
    assert asked == [[long, "unknown"]]
    again = OpenTasks(told.events.append, {key_of(long): {**told.watched.open[key_of(long)], "id": long}}, [])
    again.take({"hostname": NODE, "uuid": long, "timestamp": AT, "type": "task-succeeded"})
    assert again.open == {}
