"""OpenAPI document: what FastAPI finds by itself, and the answers, which msgspec encodes and describes."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from signalbox_api.answers.json_response import ErrorAnswer

_REF = "#/components/schemas/{name}"

Responses = dict[int | str, dict[str, Any]]

_WHY = {
    400: "The request cannot be read: it is no HTTP, or its body is no JSON in UTF-8.",
    401: "Nobody that we know, or no longer.",
    403: "Not allowed: the role, or a missing or wrong CSRF token.",
    404: "There is no such thing.",
    408: "The request did not arrive in time.",
    409: "It cannot be done any more, or not like this; the message says why.",
    413: "The body is too large.",
    422: "What was sent makes no sense; the message says why.",
    429: "Tried too often, or too many connections; see Retry-After.",
    431: "The head of the request is too large.",
    502: "A controller did not or could not do it; the message says what is left.",
    503: "Redis or PostgreSQL is away; the message says which.",
}

#: Answers that any request may get, before it comes to its route.
_ANY = (400, 408, 413, 429, 431, 503)

_described: set[type] = {ErrorAnswer}


def answers(body: type, *errors: int, others: dict[int, type] | None = None) -> Responses:
    """The responses of a route: `body` for a success, other bodies by status, and the usual errors."""
    bodies = {200: body, **(others or {})}
    _described.update(bodies.values())
    found: Responses = {status: _response(kind, kind.__doc__ or "") for status, kind in bodies.items()}
    return {**refusals(401, 403, *errors), **found}


def refusals(*errors: int) -> Responses:
    """The responses of a route for these errors."""
    return {status: _response(ErrorAnswer, _WHY[status]) for status in errors}


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
        for operation in (one for path in document["paths"].values() for one in path.values()):
            common = {str(status): response for status, response in refusals(*_ANY).items()}
            operation["responses"] = {**common, **operation["responses"]}
        components = document.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **schemas}
        components["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"},
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "signalbox_session",
                "description": "Behind TLS `__Host-signalbox_session`; below a root path `__Secure-signalbox_session`.",
            },
        }
        document["security"] = [{"token": []}, {"session": []}]
        app.openapi_schema = document
    return app.openapi_schema
