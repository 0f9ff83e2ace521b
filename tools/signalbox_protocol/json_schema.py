"""The messages as JSON Schema (draft 2020-12), generated from the types."""

import inspect
from typing import Any, get_args

import msgspec

from signalbox.messages import views
from signalbox.messages.commands import AnyCommand
from signalbox.messages.events import AnyEvent
from signalbox.messages.receipts import AnyReceipt, ProcessReport, TaskVerdict
from signalbox_protocol.field_docs import field_docs

#: Raised by hand: the first number when a reader of the old form would misread the new one.
CONTRACT_VERSION = "1.0.0"

COMMANDS: tuple[type[msgspec.Struct], ...] = get_args(AnyCommand)
EVENTS: tuple[type[msgspec.Struct], ...] = get_args(AnyEvent)
RECEIPTS: tuple[type[msgspec.Struct], ...] = get_args(AnyReceipt)
VIEWS: tuple[type[msgspec.Struct], ...] = (
    views.TaskView,
    views.LogView,
    views.ProcessView,
    views.HostView,
    views.CommandView,
)
MESSAGES: tuple[type[msgspec.Struct], ...] = (*COMMANDS, *EVENTS, *RECEIPTS)
#: Everything that is published, under its own name.
PUBLISHED: tuple[type[msgspec.Struct], ...] = (*MESSAGES, views.Change, *VIEWS, ProcessReport, TaskVerdict)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_document() -> dict[str, Any]:
    """One document that holds for every message on the bus, with each type under `$defs`."""
    return {
        "$schema": _DIALECT,
        "title": f"Signalbox messages {CONTRACT_VERSION}",
        "description": "Every message on the bus. Fields may be added: readers must pass over what they do not know.",
        "oneOf": [{"$ref": f"#/$defs/{cls.__name__}"} for cls in MESSAGES],
        "$defs": components("#/$defs/{name}"),
    }


def components(ref_template: str) -> dict[str, Any]:
    """The schema of each type under its name, described by its docstring and the comments of its fields."""
    _, found = msgspec.json.schema_components(PUBLISHED, ref_template=ref_template)
    for cls in PUBLISHED:
        schema = found[cls.__name__]
        schema["description"] = inspect.cleandoc(cls.__doc__ or "")
        for field, text in field_docs(cls).items():
            schema["properties"][field]["description"] = text
    # A change holds the row already encoded, which to the type is anything at all.
    rows = [{"$ref": ref_template.format(name=cls.__name__)} for cls in VIEWS]
    found["Change"]["properties"]["row"]["anyOf"] = rows
    return found
