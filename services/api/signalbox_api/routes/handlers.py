"""Handlers of errors: each becomes an answer for people, `{"status": "error", "message": …}`."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from signalbox.errors import BusUnavailable, DatabaseUnavailable, UnknownHost
from signalbox_api.answers.json_response import refusal
from signalbox_api.auth.refusals import Refused
from signalbox_api.errors import ApiError
from signalbox_api.routes.access import client_address, noted_caller
from signalbox_api.services import Services

log = logging.getLogger(__name__)

#: Where the framework has only a phrase.
_WORDS = {
    400: "The body of the request cannot be read: it must be JSON in UTF-8",
    404: "There is nothing at this address; /docs lists all that there is",
    405: "This address does not know the method {method}; /docs lists what it knows",
}


async def _on_api_error(request: Request, error: Exception) -> Response:
    known = cast("ApiError", error)
    note_refusal(request, known)
    return refusal(str(known), known.status, known.headers)


async def _on_bus(request: Request, error: Exception) -> Response:
    cause = str(error).removeprefix("Redis does not answer: ")
    done = "" if request.method == "GET" else "; nothing is known to have been done, try again when it is back"
    return refusal(f"Redis does not answer{done} ({cause})", 503)


async def _on_redis(_: Request, error: Exception) -> Response:
    log.error("Redis refused a command: %s", error)
    return refusal(f"Redis refused a command: {error}; look at its log and its access rules", 503)


async def _on_database(_: Request, error: Exception) -> Response:
    return refusal(
        f"The record cannot be used now: {error}."
        " Tasks can still be cancelled and processes stopped and started; the record follows later",
        503,
    )


async def _on_stranger(_: Request, error: Exception) -> Response:
    return refusal(str(error), 404)


async def _on_http(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    words = _WORDS.get(known.status_code, known.detail or "The request was refused")
    return refusal(words.replace("{method}", request.method), known.status_code, known.headers)


async def _on_invalid(_: Request, error: Exception) -> Response:
    return refusal(in_words(cast("RequestValidationError", error).errors()), 422)


async def _on_mistake(request: Request, error: Exception) -> Response:
    log.error("%s %s failed: %r", request.method, request.url.path, error)
    return refusal("Signalbox made a mistake; the log of the api says which", 500)


def note_refusal(connection: HTTPConnection, error: ApiError) -> None:
    """Log a refusal, and note it for the trail; that of a browser which is not signed in yet is no warning."""
    if error.status in {401, 403, 429}:
        level = logging.INFO if error.status == 401 else logging.WARNING
        log.log(level, "refused %r to %s: %s", connection.url.path, client_address(connection), error)
        if caller := noted_caller(connection):
            services = cast("Services", connection.app.state.services)
            services.trail.refused(_refused(connection, caller, error.status), str(error))


def _refused(connection: HTTPConnection, caller: str, status: int) -> Refused:
    route = str(getattr(connection.scope.get("route"), "path", "none"))
    method = str(connection.scope.get("method", "WS"))
    kind = "sign-in" if (method, route) == ("POST", "/session") else "refusal"
    return Refused(kind, caller, client_address(connection), f"{method} {route}", status)


def in_words(problems: Iterable[Mapping[str, Any]]) -> str:
    """The errors of pydantic as sentences."""
    return ". ".join(dict.fromkeys(_sentence(problem) for problem in problems))


def _sentence(problem: Mapping[str, Any]) -> str:
    kind, (where, *path) = problem["type"], problem["loc"]
    if kind == "json_invalid":
        return f"The body is not JSON: {problem.get('ctx', {}).get('error', problem['msg'])}"
    words = str(problem["msg"]).removeprefix("Value error, ")
    if where == "body" and not path:
        if kind == "missing":
            return "The request needs a body in JSON"
        if kind == "value_error":  # ours, about the body as a whole
            return words
        return "The body must be a JSON object, sent with Content-Type: application/json"
    name = ".".join(str(part) for part in path) or str(where)
    if kind == "extra_forbidden":
        return f"The field {name} is not known here"
    return f"The value of {name} is not acceptable: {words[:1].lower()}{words[1:]}"


def install(app: FastAPI) -> None:
    """Add the handlers to `app`."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(BusUnavailable, _on_bus)
    app.add_exception_handler(RedisError, _on_redis)
    app.add_exception_handler(DatabaseUnavailable, _on_database)
    app.add_exception_handler(UnknownHost, _on_stranger)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_mistake)
