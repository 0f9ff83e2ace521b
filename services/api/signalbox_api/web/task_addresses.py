"""Addresses of tasks: any id is one part of a path, whatever it holds.

A server resolves `%2F` before it looks for a route, and ids with a slash would be several parts. So the part that is
the id is found in the path as it was sent, and put back with all its characters escaped; `TaskId` reads it.
"""

import re
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Path
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from signalbox.messages.ids import from_address_part

_TASK = re.compile(r"(?P<before>.*?/scheduler/(?:cancel-task|(?P<list>tasks))/)(?P<rest>[^/].*|/.+)", re.DOTALL)
#: What may follow an id.
_AFTER = ("logs", "allow")


def _read(part: str) -> str:
    return from_address_part(unquote(part))


#: The id in the path of a route.
TaskId = Annotated[
    str,
    Path(description="The id, with what is no letter or digit as %-escapes; or `base64url:` and that code of it."),
    AfterValidator(_read),
]


def with_id_in_one_part(path: str) -> str:
    """The path, with the id of a task in it as one part; `path` has its %-escapes."""
    found = _TASK.fullmatch(path)
    if found is None:
        return unquote(path)
    rest, end = found["rest"].removesuffix("/"), "/" if found["rest"].endswith("/") else ""
    task_id, slash, last = rest.rpartition("/")
    if not found["list"] or last not in _AFTER or not task_id:
        task_id, slash, last = rest, "", ""
    return f"{unquote(found['before'])}{quote(unquote(task_id), safe='')}{slash}{last}{end}"


class TaskAddresses:
    """Middleware that makes the id of a task one part of the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (raw := scope.get("raw_path")):
            scope["path"] = with_id_in_one_part(raw.decode(errors="replace"))
        await self._app(scope, receive, send)
