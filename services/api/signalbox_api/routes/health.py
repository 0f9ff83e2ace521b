"""Health routes: alive, ready part by part, and metrics."""

import time

import msgspec
from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from signalbox.bus.presence import present
from signalbox.errors import BusUnavailable
from signalbox_api.answers.json_response import reply
from signalbox_api.answers.openapi import answers
from signalbox_api.routes.access import VIEWERS
from signalbox_api.services import Services, Wired

router = APIRouter(tags=["Health"])


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a process that is alive."""

    status: str = "ok"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Part that the api needs."""

    ok: bool
    detail: str


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Readiness: commands need Redis, lists need PostgreSQL, live changes need both."""

    status: str
    parts: dict[str, Part]


@router.get("/healthz", summary="Is it alive", response_model=None, openapi_extra={"security": []})
async def healthz() -> Response:
    """Open to all, and says nothing else."""
    return reply(Alive())


@router.get(
    "/readyz", summary="Is it able to serve", responses=answers(Ready, others={503: Ready}), dependencies=VIEWERS
)
async def readyz(services: Wired) -> Response:
    """Part by part; 503 while commands cannot be given. Without PostgreSQL it is `degraded`, and still serves."""
    parts = {"redis": await _redis(services), "database": _database(services), "live": _live(services)}
    if not parts["redis"].ok:
        return reply(Ready(status="unavailable", parts=parts), 503)
    well = all(part.ok for part in parts.values())
    return reply(Ready(status="ready" if well else "degraded", parts=parts))


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse, dependencies=VIEWERS)
async def metrics(services: Wired) -> Response:
    """In the text format of Prometheus."""
    gauges = {
        "live_browsers": len(services.hub),
        "live_connected": float(services.tail.connected),
        "record_age_seconds": services.tail.record_age,
        "database_up": float(services.urgent.health.up),
        "redis_up": float((await _redis(services)).ok),
    }
    return PlainTextResponse(services.metrics.text(gauges), media_type="text/plain; version=0.0.4")


async def _redis(services: Services) -> Part:
    began = time.perf_counter()
    try:
        hosts = await present(services.redis)
    except BusUnavailable as error:
        return Part(ok=False, detail=str(error))
    took = (time.perf_counter() - began) * 1000
    return Part(ok=True, detail=f"answered in {took:.1f} ms; {len(hosts)} controllers listen")


def _database(services: Services) -> Part:
    health = services.urgent.health
    return Part(ok=health.up, detail=health.error or "answers")


def _live(services: Services) -> Part:
    age = services.tail.record_age
    last = "no change has been seen yet" if age is None else f"the last change was {age:.1f} s ago"
    return Part(ok=services.tail.connected, detail=f"{len(services.hub)} browsers watch; {last}")
