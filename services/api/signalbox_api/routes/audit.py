"""Routes of the trail: its ends, and its export, of which any length needs little memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator
from starlette.responses import Response, StreamingResponse

from signalbox.postgres.pool import Connection
from signalbox.trail.export import MEDIA_TYPES, WRITERS, Format
from signalbox.trail.line import Ends, TrailLine
from signalbox.trail.read import Period, read_ends, read_lines
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.routes.access import ADMINS
from signalbox_api.services import Wired

router = APIRouter(tags=["Audit trail"])

#: Seconds for one part of an export, which may have to pass over many lines.
PART_WAIT = 30.0

_CONTENT: dict[str, dict[str, str]] = {kind: {} for kind in MEDIA_TYPES.values()}


def _in_utc(at: datetime) -> datetime:
    """The same in UTC; without a zone it is meant to be UTC."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this is no time that there is in UTC") from error


_Time = Annotated[
    datetime | None,
    Query(description="RFC 3339, as in 2026-01-31T00:00:00Z."),
    AfterValidator(lambda at: None if at is None else _in_utc(at)),
]


@router.get("/scheduler/audit/", summary="Ends of the trail", responses=answers(Ends), dependencies=ADMINS)
async def ends(services: Wired) -> Response:
    """The last line that retention removed and the last one that is chained, with their hashes."""
    return reply(await services.record.read(read_ends))


@router.get(
    "/scheduler/audit/export/",
    summary="Export the trail",
    responses={
        **answers(Ends, 422),
        200: {"description": "Lines.", "content": {kind: {} for kind in MEDIA_TYPES.values()}},
    },
    dependencies=ADMINS,
)
async def export(
    services: Wired,
    kind: Annotated[Format, Query(alias="format")] = "jsonl",
    since: _Time = None,
    until: _Time = None,
    after: Annotated[int, Query(ge=-1, lt=2**63, description="Only lines of the chain with a greater number.")] = -1,
) -> Response:
    """Every line, in the order of the chain, then those that are not chained yet; as CSV or as JSON lines."""

    async def run(query: Callable[[Connection], Awaitable[list[TrailLine]]]) -> list[TrailLine]:
        return await services.record.read(query, PART_WAIT)

    parts = read_lines(run, Period(since, until), after)
    first: list[TrailLine] = await anext(parts, [])  # an error is an answer as long as nothing was sent

    async def content() -> AsyncIterator[bytes]:
        write, heading = WRITERS[kind]
        yield heading + write(first)
        async for part in parts:
            yield write(part)

    return StreamingResponse(
        content(),
        media_type=MEDIA_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="signalbox-trail.{kind}"'},
    )
