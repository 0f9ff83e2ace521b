"""The bus as an AsyncAPI 3 document: streams, who reads and writes them, and what is on them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from signalbox.bus import names
from signalbox.messages.views import Change
from signalbox_protocol.json_schema import COMMANDS, CONTRACT_VERSION, EVENTS, MESSAGES, RECEIPTS, components

_ON_STREAMS: tuple[type[msgspec.Struct], ...] = (*MESSAGES, Change)

_SIGNATURE = {
    "type": "object",
    "required": ["sig"],
    "properties": {
        "sig": {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "HMAC-SHA256 (RFC 2104) of the bytes of `data` under SIGNALBOX_KEY, in hexadecimal.",
        }
    },
}

_DEAD = {
    "type": "object",
    "required": ["data", "reason", "position"],
    "properties": {
        "data": {"type": "string", "description": "The entry as it was."},
        "reason": {"type": "string", "description": "Why nobody could handle it."},
        "position": {"type": "string", "description": "Its id on the stream that it came from."},
    },
    "description": "An entry that could not be read, or failed too often.",
}


def asyncapi_document() -> dict[str, Any]:
    """The whole of it, ready to be written as JSON."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Signalbox",
            "version": CONTRACT_VERSION,
            "description": (
                "Commands and events of a control plane for Celery, on Redis Streams. Each entry holds the message"
                " as JSON in its field `data`; a command also holds its signature in the field `sig`, shown here as"
                " a header. Every message may come twice, late or out of order."
            ),
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {cls.__name__: _message(cls) for cls in _ON_STREAMS} | {"DeadLetter": _dead_letter()},
            "schemas": components("#/components/schemas/{name}") | {"DeadLetter": _DEAD},
        },
    }


def _channels() -> dict[str, Any]:
    return {
        "commands": _channel(
            names.COMMANDS,
            "What somebody wants done. Refused when unsigned, expired or seen before.",
            (cls.__name__ for cls in COMMANDS),
            groups={
                names.host_group("<name>"): "the controller of one host: every host reads every command",
                names.RECONCILER_GROUP: "the audit trail",
            },
        ),
        "events": _channel(
            names.EVENTS,
            "What was seen to happen, in the order in which a host saw it.",
            (cls.__name__ for cls in EVENTS),
            groups={names.RECONCILER_GROUP: "the record; its members share the work"},
        ),
        "changes": _channel(
            names.CHANGES,
            "Rows of the record that changed, after the commit; read by position, without a group.",
            ("Change",),
        ),
        "receipts": _channel(
            names.receipts("{command_id}"),
            "The answers to one command, for whoever gave it; kept for five minutes, read by position from 0.",
            (cls.__name__ for cls in RECEIPTS),
        )
        | {"parameters": {"command_id": {"description": "The `command_id` of the command."}}},
        "deadCommands": _channel(names.dead(names.COMMANDS), "Commands that nobody could read.", ("DeadLetter",)),
        "deadEvents": _channel(names.dead(names.EVENTS), "Events that nobody could read or store.", ("DeadLetter",)),
    }


def _channel(
    address: str, description: str, messages: Iterable[str], groups: dict[str, str] | None = None
) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    return channel | {"x-consumer-groups": groups} if groups else channel


def _operations() -> dict[str, Any]:
    operations = {
        "carryOutCommand": ("receive", "commands", "Every controller reads each command and does its host's part."),
        "publishEvent": ("send", "events", "A controller says what it saw."),
        "recordEvent": ("receive", "events", "The reconciler writes it down, and acknowledges after the commit."),
        "answerCommand": ("send", "receipts", "A host's last word on a command, and that the record has it."),
        "publishChange": ("send", "changes", "The reconciler tells what it committed."),
        "buryCommand": ("send", "deadCommands", "What cannot be handled is set aside with its reason."),
        "buryEvent": ("send", "deadEvents", "What cannot be handled is set aside with its reason."),
    }
    return {
        name: {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}
        for name, (action, channel, summary) in operations.items()
    }


def _message(cls: type[msgspec.Struct]) -> dict[str, Any]:
    name = cls.__name__
    message: dict[str, Any] = {
        "name": name,
        "summary": (cls.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{name}"},
    }
    return message | {"headers": _SIGNATURE} if cls in COMMANDS else message


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "summary": _DEAD["description"],
        "payload": {"$ref": "#/components/schemas/DeadLetter"},
    }
