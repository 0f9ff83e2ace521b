"""Answers as bytes: encoded by msgspec, which is several times faster than what FastAPI does by itself."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


class ErrorAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Every answer that is not a success, with the reason in words."""

    message: str
    status: str = "error"


class DoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Something was done, and there is nothing to show for it."""

    message: str
    status: str = "success"


def reply(body: msgspec.Struct, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A struct as a JSON answer."""
    return Response(_encoder.encode(body), status, headers, media_type="application/json")


def refusal(message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error as a JSON answer."""
    return reply(ErrorAnswer(message=message), status, headers)
