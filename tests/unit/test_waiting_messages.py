"""The tasks that a message at a broker may be of."""

import base64
import json

import pytest

from signalbox_agent.broker.envelope import ids_of, run_of
from signalbox_agent.broker.waiting import Listing
from signalbox_agent.tasks.ids import key_of


def body(**fields: object) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


BASE64 = {"body_encoding": "base64"}


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        ({"headers": {"id": "t1"}, "properties": {"correlation_id": "t1"}}, {"t1"}),
        ({"headers": {}, "properties": {"correlation_id": "t1", **BASE64}, "body": body(id="t1")}, {"t1"}),
        ({"headers": {}, "properties": BASE64, "body": body(id="t1")}, {"t1"}),  # made by hand
        ({"headers": None, "properties": {}, "body": '{"id": "t1"}'}, {"t1"}),
        ({"headers": {}, "properties": BASE64, "body": "no base64"}, set()),
        ({"headers": {}, "properties": BASE64, "body": body(hello="world")}, set()),
        ({}, set()),
        ({"headers": {"id": 7}, "properties": {"correlation_id": None}}, set()),
        ({"headers": ["id"], "properties": "none", "body": {"id": "t1"}}, set()),
        ({"headers": {}, "properties": {}, "body": "[" * 100_000}, set()),
    ],
)
def test_its_ids_are_in_its_headers_properties_or_body(message: dict[str, object], ids: set[str]) -> None:
    assert set(ids_of(message)) == ids


def test_only_what_is_looked_for_is_found_whatever_else_lies_there() -> None:
    listing = Listing(["t1"])
    listing.take([{"headers": {"id": "t1"}}, {"headers": {"id": "t2"}}, "no message", None, 7])
    assert listing.found == {"t1"}


def test_an_id_is_found_by_its_key() -> None:
    ids = ["x" * 3000, "a\nb", "order:42/7"]
    listing = Listing(map(key_of, ids))
    listing.take([{"headers": {"id": task_id}} for task_id in ids])
    assert listing.found == set(map(key_of, ids))


@pytest.mark.parametrize(
    ("message", "run"),
    [
        ({"headers": {"id": "t1", "retries": 2}, "properties": {"correlation_id": "other"}}, ("t1", 2)),
        ({"headers": {"id": "t1", "retries": None}}, ("t1", 0)),
        ({"headers": {"id": "t1", "retries": "many"}}, ("t1", 0)),
        ({"properties": {"correlation_id": "other"}, "body": '{"id": "t1", "retries": 3}'}, ("t1", 3)),
        ({"properties": {"correlation_id": "t1"}, "body": "no JSON"}, ("t1", 0)),
        ({"headers": None, "properties": None, "body": None}, ("", 0)),
    ],
)
def test_the_run_of_a_message_is_in_its_headers_or_in_its_body(
    message: dict[str, object], run: tuple[str, int]
) -> None:
    assert run_of(message) == run
