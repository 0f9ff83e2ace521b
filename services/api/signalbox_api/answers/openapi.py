"""OpenAPI document: what FastAPI finds by itself, and the answers, which msgspec encodes and describes."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from signalbox_api.answers.json_response import ErrorAnswer

_REF = "#/components/schemas/{name}"

Responses = dict[int | str, dict[str, Any]]

_WHY = {
    401: "Nobody that we know, or no longer.",
    403: "Not allowed: the role, or a missing or wrong CSRF token.",
    404: "There is no such thing.",
    409: "It cannot be done any more, or not like this; the message says why.",
    422: "What was sent makes no sense; the message says why.",
    429: "Tried too often; see Retry-After.",
    502: "A controller did not or could not do it; the message says what is left.",
    503: "Redis or PostgreSQL is away; the message says which.",
}

_described: set[type] = {ErrorAnswer}


def answers(body: type, *errors: int, others: dict[int, type] | None = None) -> Responses:
    """The responses of a route: `body` for a success, other bodies by status, and the usual errors."""
    bodies = {200: body, **(others or {})}
    _described.update(bodies.values())
    found: Responses = {status: _response(kind, kind.__doc__ or "") for status, kind in bodies.items()}
    for status in (401, 403, *errors, 503):
        found.setdefault(status, _response(ErrorAnswer, _WHY[status]))
    return found


def _response(body: type, description: str) -> dict[str, Any]:
    reference = {"$ref": _REF.format(name=body.__name__)}
    return {"description": description.partition("\n\n")[0], "content": {"application/json": {"schema": reference}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document; made once."""
    if not app.openapi_schema:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _, schemas = msgspec.json.schema_components(
            sorted(_described, key=lambda kind: kind.__name__), ref_template=_REF
        )
        components = document.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **schemas}
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "signalbox_session"},
        }
        document["security"] = [{"token": []}, {"session": []}]
        app.openapi_schema = document
    return app.openapi_schema
