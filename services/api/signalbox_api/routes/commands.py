"""Route of the audit trail: all commands."""

from collections.abc import Sequence

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from signalbox.messages.views import CommandView
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.record.cursor import read_cursor
from signalbox_api.record.views import list_commands
from signalbox_api.routes.access import VIEWERS
from signalbox_api.routes.tasks import After, Limit
from signalbox_api.services import Wired

router = APIRouter(tags=["Audit trail"])


class CommandList(msgspec.Struct, frozen=True, kw_only=True):
    """Commands, newest first."""

    items: Sequence[CommandView]
    #: What to give as `after` to get the next part; null: this was the last.
    next: str | None


@router.get("/scheduler/commands/", summary="Who did what", responses=answers(CommandList, 422), dependencies=VIEWERS)
async def commands(services: Wired, limit: Limit = 50, after: After = None) -> Response:
    """Every command: who gave it, from where, why, and how it ended."""
    place = read_cursor(after) if after else None
    return reply(await services.record.read(lambda connection: list_commands(connection, limit, place)))
