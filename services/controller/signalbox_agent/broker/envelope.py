"""The envelope of a task's message, as a broker of kombu's virtual transports keeps it; pure.

Any program may have written it, so nothing in it is taken for granted: no header, no type, no length.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any


def mapping(value: Any) -> dict[str, Any]:
    """A value that should be a mapping; an empty one where it is something else."""
    return value if isinstance(value, dict) else {}


def ids_of(raw: dict[str, Any]) -> Iterator[str]:
    """The ids by which a message may name its task: headers (protocol 2), properties, body (protocol 1)."""
    found = mapping(raw.get("headers")).get("id"), mapping(raw.get("properties")).get("correlation_id")
    yield from (one for one in found if isinstance(one, str))
    with suppress(KeyError):
        yield str(_first_protocol(raw)["id"])


def run_of(raw: dict[str, Any]) -> tuple[str, int]:
    """The id by which a worker knows the task, empty where it has none, and its count of retries."""
    headers = mapping(raw.get("headers"))
    fields = headers if headers.get("id") else _first_protocol(raw)
    correlation = mapping(raw.get("properties")).get("correlation_id")
    task_id = fields.get("id") or correlation or ""
    retries = fields.get("retries")
    return str(task_id), retries if isinstance(retries, int) else 0


def _first_protocol(raw: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message of protocol 1, which are in its body; none where the headers name the task."""
    if mapping(raw.get("headers")).get("id"):
        return {}
    body = raw.get("body")
    with suppress(ValueError, TypeError, RecursionError):
        encoded = mapping(raw.get("properties")).get("body_encoding") == "base64"
        return mapping(json.loads(base64.b64decode(body) if encoded else body))  # type: ignore[arg-type]
    return {}
