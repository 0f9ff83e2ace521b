"""The published contract is what the code says, and the code can read what the contract allows."""

import json
import typing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from signalbox.bus import names
from signalbox.errors import UnreadableMessage
from signalbox.messages.base import Message, Moment
from signalbox.messages.codec import decode_command, decode_event, decode_receipt, encode
from signalbox.messages.commands import CancelTask
from signalbox.messages.views import Change, HostView
from signalbox_protocol.__main__ import documents
from signalbox_protocol.json_schema import COMMANDS, EVENTS, MESSAGES, RECEIPTS

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol"
SCHEMA = json.loads(documents()["messages.schema.json"])
ASYNCAPI = json.loads(documents()["asyncapi.json"])
AT = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)

#: Each type with the function that reads it from the bus.
READERS = (
    [(cls, decode_command) for cls in COMMANDS]
    + [(cls, decode_event) for cls in EVENTS]
    + [(cls, decode_receipt) for cls in RECEIPTS]
)

#: Text as Redis and PostgreSQL can hold it: no lone surrogates.
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        int: st.integers(0, 2**31),
        float: st.floats(0, 1e6, allow_nan=False),
        datetime: MOMENTS,
        type(None): st.none(),
    }
    if hint in simple:
        return simple[hint]
    if get_origin(hint) is Annotated:
        return bounded(*get_args(hint))
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        many = parts[-1] is Ellipsis
        return st.lists(values(parts[0]), max_size=3).map(tuple) if many else st.tuples(*map(values, parts))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    return st.one_of([values(part) for part in get_args(hint)])


def bounded(hint: Any, meta: msgspec.Meta) -> st.SearchStrategy[Any]:
    """Values of a type that are as long as they must be."""
    least = meta.min_length or 0
    return values(hint).filter(lambda value: len(value) >= least) if least else values(hint)


def structs(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of a type, with every field given or left at its default."""
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {field.name: values(hints[field.name]) for field in msgspec.structs.fields(cls)}
    required = {field.name for field in msgspec.structs.fields(cls) if field.required}
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    ).map(lambda given_fields: cls(**given_fields))


def references(document: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        for part in document.values():
            yield from references(part)
    elif isinstance(document, list):
        for part in document:
            yield from references(part)


def follow(document: Any, reference: str) -> Any:
    """What a `$ref` points at; KeyError when there is nothing."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


@pytest.mark.parametrize("name", sorted(documents()))
def test_the_committed_documents_are_those_of_the_code(name: str) -> None:
    assert (PROTOCOL / name).read_text(encoding="utf-8") == documents()[name], "stale; run: make protocol"


def test_the_schema_is_a_schema() -> None:
    assert Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(SCHEMA)


@pytest.mark.parametrize("document", [SCHEMA, ASYNCAPI], ids=["schema", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))

    assert found
    assert all(follow(document, reference) for reference in found)


@pytest.mark.parametrize(("cls", "read"), READERS, ids=lambda value: getattr(value, "__name__", ""))
@settings(max_examples=25, deadline=None, database=None)
@given(data=st.data())
def test_every_message_fits_its_schema_and_comes_back_as_it_went(cls: type[Message], read: Any, data: Any) -> None:
    message = data.draw(structs(cls))

    wire = encode(message)

    Draft202012Validator(SCHEMA).validate(json.loads(wire))
    assert read(wire) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_a_message_says_which_one_it_is_and_what_it_means(cls: type[Message]) -> None:
    published = SCHEMA["$defs"][cls.__name__]

    assert published["properties"]["type"] == {"enum": [cls.__name__]}
    assert "type" in published["required"]
    assert published["description"].endswith((".", "`."))


def test_a_comment_on_a_field_reaches_the_readers_of_the_schema() -> None:
    pid = SCHEMA["$defs"]["TaskStarted"]["properties"]["pid"]
    assert pid["description"] == "The pool child's, not the worker's; 0 where it is not known."


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"type": "LaunchRocket"}, "no such type"),
        ({"task_id": 7}, "wrong type of a field"),
        ({"command_id": None}, "a null where text belongs"),
        ({"expires_at": "tomorrow"}, "no time"),
    ],
)
def test_what_the_schema_forbids_the_code_refuses(change: dict[str, Any], why: str) -> None:
    wire = json.dumps(json.loads(encode(a_cancel())) | change).encode()

    with pytest.raises(UnreadableMessage):
        decode_command(wire)
    checker = Draft202012Validator.FORMAT_CHECKER
    if "expires_at" not in change:
        assert not Draft202012Validator(SCHEMA, format_checker=checker).is_valid(json.loads(wire)), why


def test_a_time_without_a_zone_is_unreadable() -> None:
    wire = encode(a_cancel()).replace(b"20:00:00Z", b"20:00:00")

    with pytest.raises(UnreadableMessage, match="timezone"):
        decode_command(wire)
    assert SCHEMA["$defs"]["CancelTask"]["properties"]["issued_at"]["format"] == "date-time"
    assert msgspec.json.decode(b'"2026-11-23T20:00:00Z"', type=Moment) == AT


def test_a_field_from_the_future_is_passed_over() -> None:
    wire = encode(a_cancel())[:-1] + b',"colour":"red"}'

    assert decode_command(wire) == a_cancel()
    assert Draft202012Validator(SCHEMA).is_valid(json.loads(wire))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type":5}', b'"CancelTask"'])
@pytest.mark.parametrize("read", [decode_command, decode_event, decode_receipt])
def test_rubbish_is_unreadable_and_nothing_worse(read: Any, data: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        read(data)


def test_every_stream_is_in_the_document_with_what_is_on_it() -> None:
    channels = {channel["address"]: set(channel["messages"]) for channel in ASYNCAPI["channels"].values()}

    assert channels[names.COMMANDS] == {cls.__name__ for cls in COMMANDS}
    assert channels[names.EVENTS] == {cls.__name__ for cls in EVENTS}
    assert channels[names.receipts("{command_id}")] == {cls.__name__ for cls in RECEIPTS}
    assert channels[names.CHANGES] == {"Change"}
    assert {names.dead(names.COMMANDS), names.dead(names.EVENTS)} <= channels.keys()


def test_a_change_carries_a_published_view() -> None:
    change = Change.of(
        "host", "web-07", HostView(name="web-07", state="online", seen_at=AT, proof="cgroup", proof_detail="why")
    )
    schema = {"$ref": "#/$defs/Change", "$defs": SCHEMA["$defs"]}

    assert Draft202012Validator(schema).is_valid(json.loads(msgspec.json.encode(change)))


def a_cancel() -> CancelTask:
    """A command like any other."""
    return CancelTask(
        command_id="c1", issued_by="user:alice", issued_at=AT, expires_at=AT + timedelta(minutes=1), task_id="t1"
    )
