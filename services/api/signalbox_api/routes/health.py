"""Health routes: alive, ready part by part, and metrics."""

import asyncio
from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends
from starlette.responses import PlainTextResponse, Response

from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers, refusals
from signalbox_api.auth.credential import Credential
from signalbox_api.record.probes import Probes
from signalbox_api.record.vouching import RECORD_PARTS, Facts, PartName, PartState
from signalbox_api.routes.access import VIEWERS, identify_if_any
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Health"])


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a process that is alive."""

    status: str = "ok"


class ReadyPart(msgspec.Struct, frozen=True, kw_only=True):
    """Part that the api needs, or that the record needs."""

    ok: bool
    state: PartState
    #: Since when it is not well; null: it is, or it never was.
    since: datetime | None
    #: What is wrong, and what that means; empty while nothing is.
    message: str
    #: What was measured, or the error.
    detail: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Readiness: commands need Redis, lists need PostgreSQL, a true record needs the reconciler, too."""

    status: str
    #: Every event until then is in the record; null: nobody has ever said so.
    as_of: datetime | None
    parts: dict[PartName, ReadyPart]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a caller without a credential."""

    status: str


@router.get("/healthz", summary="Is it alive", response_model=None, openapi_extra={"security": []})
async def healthz() -> Response:
    """Open to all, and says nothing else."""
    return reply(Alive())


@router.get(
    "/readyz",
    summary="Is it able to serve",
    responses=answers(Ready, others={503: Ready}),
    openapi_extra={"security": [{}, {"token": []}, {"session": []}]},
)
async def readyz(services: Wired, caller: Annotated[Credential | None, Depends(identify_if_any)]) -> Response:
    """Part by part; 503 while commands cannot be given.

    Without PostgreSQL or the reconciler it is `degraded`: it cancels and stops, and nobody vouches for the record.
    A load balancer needs no token: without one, the answer is `{"status": "ready"}`, or 503 with `unavailable`.
    """
    probes = services.probes
    if caller is None:
        return _in_short(probes)
    await asyncio.gather(probes.ask_redis(), probes.ask_record())
    details = _details(services, probes.facts())
    parts = {
        part.name: ReadyPart(
            ok=part.state == "ok",
            state=part.state,
            since=part.since,
            message=part.message,
            detail=details[part.name],
        )
        for part in probes.parts()
    }
    as_of = probes.vouch().as_of
    if not parts["redis"].ok:
        return reply(Ready(status="unavailable", as_of=as_of, parts=parts), 503)
    well = all(part.ok for part in parts.values())
    return reply(Ready(status="ready" if well else "degraded", as_of=as_of, parts=parts))


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=PlainTextResponse,
    responses=refusals(401, 403),
    dependencies=VIEWERS,
)
async def metrics(services: Wired) -> Response:
    """In the text format of Prometheus."""
    gauges = {
        "connections": len(services.shares),
        "connections_refused": services.shares.refused.total(),
        "live_browsers": len(services.hub),
        "live_connected": float(services.tail.connected),
        "record_age_seconds": services.tail.record_age,
        "record_complete_age_seconds": services.probes.facts().complete_age,
        "record_vouched_for": float(services.probes.vouch().given),
        **{f"{name}_up": float(not services.probes.vouch(name).behind) for name in RECORD_PARTS},
    }
    return PlainTextResponse(services.metrics.text(gauges), media_type="text/plain; version=0.0.4")


def _in_short(probes: Probes) -> Response:
    """Whether commands can be given, by the last measurement: a stranger causes no query."""
    able = next(part for part in probes.parts() if part.name == "redis").state == "ok"
    return reply(Readiness(status="ready" if able else "unavailable"), 200 if able else 503)


def _details(services: Services, facts: Facts) -> dict[PartName, str]:
    """What was measured of each part, or the error."""
    age = services.tail.record_age
    last = "no change has been seen yet" if age is None else f"the last change was {age:.1f} s ago"
    return {
        "redis": facts.redis_error or "answers",
        "database": facts.database_error or "answers",
        "reconciler": f"{_ago('the last heartbeat', facts.heartbeat_age)}; {_ago('it last read', facts.read_age)}",
        "live": f"{len(services.hub)} browsers watch; {last}",
    }


def _ago(what: str, age: float | None) -> str:
    return f"{what}: never" if age is None else f"{what}: {age:.1f} s ago"
