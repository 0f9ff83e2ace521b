"""Whose a message in Redis is, and how it gets back when its worker is dead; with kombu's own queues."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from celery import Celery

from signalbox_agent.broker import restore
from signalbox_agent.broker.ownership import MARK, MessageOwnership
from signalbox_agent.broker.restore import Broker
from support.stores.server import Redis

NOTHING: dict[str, list[str]] = {"forget": [], "crashed": []}


def restore_messages(broker: Broker, debts: dict[str, dict[str, list[Any]]]) -> dict[str, int]:
    """What became of how many."""
    return {what: count for what, count in restore.restore_messages(broker, debts).items() if count}


class Queue:
    """The queue `celery`, seen by workers that take from it and never acknowledge."""

    def __init__(self, url: str, **transport: Any) -> None:
        self.app = Celery(broker=url, set_as_current=False)
        self.app.conf.broker_transport_options = transport
        self.store = redis.Redis.from_url(url)
        self.connection = self.app.connection_for_read()

    def send(self, *tasks: str, **options: Any) -> None:
        for task_id in tasks:
            self.app.send_task("any", task_id=task_id, **options)

    def take(self, count: int, holder: str | None) -> list[str]:
        """Have a worker take the next ones; `holder` is its instance, None that of a worker without an agent."""
        channel = self.connection.channel()
        channel.do_restore = False  # it dies
        told: list[bool] = []
        if holder is not None:
            MessageOwnership(holder, lambda: told.append(True)).take(channel)
            assert told
        taken: list[str] = []
        consumer = self.app.amqp.TaskConsumer(channel)
        consumer.on_message = lambda message: taken.append(message.headers["id"])
        consumer.qos(prefetch_count=count)
        with consumer:
            while len(taken) < count:
                self.connection.drain_events(timeout=5.0)
        return taken

    def broker(self) -> Broker:
        channel = self.connection.channel()
        self.app.amqp.TaskConsumer(channel)
        return Broker(channel)

    def held(self) -> int:
        return int(self.store.hlen("unacked"))


@contextmanager
def a_queue(url: str, **transport: Any) -> Iterator[Queue]:
    queue = Queue(url, **transport)
    try:
        yield queue
    finally:
        queue.connection.close()
        queue.app.close()
        queue.store.close()


@pytest.fixture
def queue(valkey: Redis) -> Iterator[Queue]:
    with a_queue(valkey.url_of(1)) as one:
        yield one


def test_what_a_dead_worker_held_returns_in_its_order_and_nothing_else_does(queue: Queue) -> None:
    queue.send("a", "b", "c", "d", "e")
    assert queue.take(2, "dead") == ["a", "b"]
    assert queue.take(1, "alive") == ["c"]
    assert queue.take(1, None) == ["d"]
    assert restore_messages(queue.broker(), {"dead": NOTHING}) == {"restored": 2}
    assert queue.held() == 2
    assert queue.take(3, "alive") == ["a", "b", "e"]
    assert queue.store.zcard("unacked_index") == queue.held() == 5


def test_a_task_that_was_stopped_for_good_is_acknowledged_in_the_name_of_the_dead(queue: Queue) -> None:
    queue.send("stopped", "waiting")
    queue.take(2, "dead")
    counts = restore_messages(queue.broker(), {"dead": {"forget": ["stopped"], "crashed": []}})
    assert counts == {"restored": 1, "forgotten": 1}
    assert queue.take(1, "alive") == ["waiting"]


def test_a_task_that_ran_in_a_worker_that_crashed_is_given_back_once(queue: Queue) -> None:
    debts = {"dead": {"forget": [], "crashed": ["poison"]}}
    queue.send("poison")
    queue.take(1, "dead")
    assert restore_messages(queue.broker(), debts)["restored"] == 1
    queue.take(1, "dead")
    assert restore_messages(queue.broker(), debts) == {"left": 1}
    assert queue.held() == 1


def test_of_a_task_that_had_ended_only_its_own_message_is_acknowledged(queue: Queue) -> None:
    queue.send("done", "retried", "waiting")
    queue.send("done")  # once more, under the same id
    queue.send("retried", retries=1)
    queue.take(5, "dead")
    debts = {"dead": {"forget": [], "crashed": [], "finished": [["done", 0], ["retried", 0], ["gone", 0]]}}
    assert restore_messages(queue.broker(), debts) == {"restored": 3, "forgotten": 2}
    assert queue.take(3, "alive") == ["waiting", "done", "retried"]


def test_a_message_that_somebody_took_over_meanwhile_is_not_delivered_twice(queue: Queue) -> None:
    """The visibility time-out gave it back, and a worker without an agent took it, with the mark still on it."""
    queue.send("a", "b")
    queue.take(2, "dead")
    late = queue.broker()
    first, second = late.unacked_of({"dead"})
    assert late.give_back(first)
    queue.take(1, None)
    assert not late.give_back(first), "its bytes are others now"
    tag = second.tag
    queue.store.zadd("unacked_index", {tag: second.score + 10.0})
    assert restore_messages(queue.broker(), {"dead": NOTHING}) == {}
    assert queue.held() == 2


def test_prefixes_and_priorities_are_kept(valkey: Redis) -> None:
    with a_queue(valkey.url_of(1), global_keyprefix="shop:", priority_steps=[0, 5]) as queue:
        queue.send("urgent", priority=0)
        queue.send("idle", priority=5)
        assert queue.take(2, "dead") == ["urgent", "idle"]
        assert restore_messages(queue.broker(), {"dead": NOTHING})["restored"] == 2
        assert not queue.store.exists("shop:unacked", "unacked")
        assert queue.take(2, "alive") == ["urgent", "idle"]


#: When the dead worker took them.
TAKEN = time.time()


def kept(exchange: Any = "celery", key: Any = "celery", mark: Any = None, **message: Any) -> str:
    """A message of a dead worker, as kombu keeps it; None for a field that is not there at all."""
    properties = {"delivery_tag": "any", "delivery_info": {"exchange": exchange, "routing_key": key}}
    properties |= {MARK: mark or ["dead", TAKEN]}
    raw = {"headers": {"id": "any"}, "properties": properties, "body": "W10="} | message
    return json.dumps([{name: value for name, value in raw.items() if value != "absent"}, exchange, key])


#: What other programs put in there, and what a broken one may; all of it bears the mark of the dead worker.
STRANGE = {
    "without headers": kept(headers="absent"),
    "headers are null": kept(headers=None),
    "headers are a list": kept(headers=["id"]),
    "no id": kept(headers={}, body="absent"),
    "the id is a number": kept(headers={"id": 7}),
    "retries are a word": kept(headers={"id": "t", "retries": "many"}),
    "without a body": kept(body="absent"),
    "the body is no base64": kept(headers={}, body="\u00e9"),
}
ODD = {
    "not JSON": "dead",
    "not a message": '["dead"]',
    "a word": '"dead"',
    "nested too deeply": "[" * 100_000 + '"dead"',
    "the exchange is a list": kept(exchange=["celery"]),
    "the exchange is unknown": kept(exchange="gone"),
    "the properties are a list": json.dumps([{"properties": ["dead"]}, "celery", "celery"]),
    "the mark is nested": kept(mark=[["dead"], TAKEN]),
    "the mark has no time": kept(mark=["dead"]),
    "the key is not that of a queue": kept(exchange="", key="a string"),
}


def test_one_odd_message_is_told_and_left_alone_and_all_others_go_back(
    queue: Queue, capfd: pytest.CaptureFixture[str]
) -> None:
    queue.store.set("a string", "")
    for tag, value in (STRANGE | ODD).items():
        queue.store.hset("unacked", tag, value)
        queue.store.zadd("unacked_index", {tag: TAKEN})
    queue.send("a", "b")
    queue.take(2, "dead")
    counts = restore_messages(queue.broker(), {"dead": NOTHING})
    assert set(queue.store.hkeys("unacked")) == {tag.encode() for tag in ODD}
    assert counts == {"restored": len(STRANGE) + 2, "odd": len(ODD)}
    told = capfd.readouterr().err
    assert [tag for tag in ODD if f"message {tag!r} in 'unacked' is left alone" not in told] == []
    assert queue.store.get("a string") == b""


def test_a_message_of_the_first_protocol_is_known_by_the_id_in_its_body(queue: Queue) -> None:
    body = json.dumps({"id": "stopped", "task": "any", "retries": 2})
    queue.store.hset("unacked", "old", kept(headers="absent", body=body))
    queue.store.zadd("unacked_index", {"old": TAKEN})
    assert restore_messages(queue.broker(), {"dead": {"forget": ["stopped"], "crashed": []}}) == {"forgotten": 1}
