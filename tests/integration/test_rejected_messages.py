"""Messages that a worker throws away before they become a request: each is a task that failed, with Celery's reason."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalbox.messages.events import TaskDropped, TaskReceived
from support.agent.peer import Peer
from support.agent.worker import Worker, a_worker
from support.stores.rabbit import RabbitMQ
from support.stores.server import Redis

JSON = {"content_type": "application/json", "content_encoding": "utf-8"}


@pytest.fixture(scope="module")
def worker(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("agent")
    with a_worker(Peer(folder / "socket"), redis.url_of(0), folder / "log", "-c", "1") as worker:
        yield worker


def publish(worker: Worker, body: object, **options: Any) -> None:
    """Put a message into the worker's queue as a producer in another language does."""
    with worker.client.connection_for_write() as connection, connection.Producer() as producer:
        text = body if isinstance(body, str) else json.dumps(body)
        producer.publish(text, exchange="", routing_key="celery", **JSON | options)


def rejected(worker: Worker, task_id: str) -> TaskDropped:
    """The end of a task that was thrown away; the worker works on."""
    dropped: TaskDropped = worker.peer.event("TaskDropped", task_id)
    assert worker.peer.kinds(task_id) == ["TaskReceived", "TaskDropped"]
    assert dropped.outcome == "rejected"
    assert worker.result(worker.send("nap", 0.0)) == 0.0
    return dropped


def dropped(worker: Worker) -> set[str]:
    """The ids of all that was dropped so far."""
    told = [line["event"] for line in worker.peer.lines if line["type"] == "event"]
    return {event["task_id"] for event in told if event["type"] == "TaskDropped"}


def test_a_task_that_is_not_registered_has_failed_and_its_arguments_are_known(worker: Worker) -> None:
    task_id = str(worker.client.send_task("shop.moved_away", (1,), {"two": 2}).id)
    dropped = rejected(worker, task_id)
    assert (dropped.celery_name, dropped.name, dropped.queue) == ("shop.moved_away", "moved_away", "celery")
    assert dropped.error == "The worker does not know the task shop.moved_away"
    received: TaskReceived = worker.peer.event("TaskReceived", task_id)
    assert (received.args, received.kwargs) == ("(1,)", "{'two': 2}")


def test_a_refused_content_type_is_named(worker: Worker) -> None:
    dropped = rejected(worker, worker.send("nap", 0.0, serializer="pickle"))
    assert (dropped.name, dropped.error) == ("nap", "The worker refuses content of type application/x-python-serialize")


def test_a_body_that_cannot_be_decoded_has_failed(worker: Worker) -> None:
    task_id = str(uuid.uuid4())
    publish(worker, '{"cut off', headers={"id": task_id, "task": "tasks.nap", "lang": "go"})
    assert rejected(worker, task_id).error.startswith("The worker cannot decode its message: ")


def test_a_message_of_which_no_task_can_be_made_has_failed(worker: Worker) -> None:
    task_id = worker.send("nap", 0.0, headers={"eta": "tomorrow"})
    assert rejected(worker, task_id).error.startswith("The worker cannot make a task of its message: InvalidTaskError")


def test_a_time_that_celery_cannot_convert_has_failed(worker: Worker) -> None:
    task_id = worker.send("nap", 0.0, headers={"eta": "9999-12-31T23:59:59-12:00"})
    assert "threw it away before it could start" in rejected(worker, task_id).error


def test_a_task_of_protocol_1_that_is_not_registered_has_failed(worker: Worker) -> None:
    task_id = str(uuid.uuid4())
    publish(worker, {"id": task_id, "task": "shop.old", "args": [1], "kwargs": {}, "retries": 2})
    dropped = rejected(worker, task_id)
    assert (dropped.celery_name, dropped.retries) == ("shop.old", 2)
    received: TaskReceived = worker.peer.event("TaskReceived", task_id)
    assert received.args == "[1]"


def test_of_protocol_1_a_body_that_cannot_be_decoded_is_known_by_its_correlation_id(worker: Worker) -> None:
    task_id = str(uuid.uuid4())
    publish(worker, "no JSON", correlation_id=task_id)
    assert rejected(worker, task_id).celery_name == "unknown"


def test_a_message_that_names_no_task_is_counted_and_no_id_is_invented(worker: Worker) -> None:
    before = dropped(worker)
    publish(worker, {"hello": "world"})
    publish(worker, "no JSON")
    worker.peer.wait(lambda line: line == {"type": "rejected", "nameless": 2}, "two messages are counted")
    assert dropped(worker) == before


def test_a_cancel_of_a_rejected_task_says_that_it_has_failed(worker: Worker) -> None:
    task_id = str(worker.client.send_task("shop.gone").id)
    rejected(worker, task_id)
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert (answer["state"], answer["status"]) == ("finished", "failed")


def test_rabbitmq_hands_out_the_same(redis: Redis, rabbit: RabbitMQ, tmp_path: Path) -> None:
    url, peer = rabbit.url_of(rabbit.next_place()), Peer(tmp_path / "socket")
    with a_worker(peer, url, tmp_path / "log", "-c", "1", store=redis.url_of(1)) as worker:
        unknown = str(worker.client.send_task("shop.moved_away").id)
        assert rejected(worker, unknown).error == "The worker does not know the task shop.moved_away"
        refused = worker.send("nap", 0.0, serializer="pickle")
        assert rejected(worker, refused).error.startswith("The worker refuses content of type")
        undecodable = str(uuid.uuid4())
        publish(worker, "{", headers={"id": undecodable, "task": "tasks.nap"})
        assert rejected(worker, undecodable).error.startswith("The worker cannot decode its message: ")
    peer.close()
