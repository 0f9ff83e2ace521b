"""Pages: the dashboard and its files, and the reference at /docs."""

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from signalbox_api.answers.openapi import describe
from signalbox_api.errors import NotFound
from signalbox_api.routes.access import VIEWERS
from signalbox_api.services import Wired
from signalbox_api.web.static import File, serve

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(request: Request, services: Wired) -> Response:
    """The dashboard, which shows the sign-in form by itself."""
    return _serve(services.dashboard, "index.html", request)


@router.get("/assets/{path:path}")
async def asset(path: str, request: Request, services: Wired) -> Response:
    """A file of the dashboard; it holds no secrets, so it is open."""
    return _serve(services.dashboard, path, request)


@router.get("/docs", dependencies=VIEWERS)
async def docs(request: Request, services: Wired) -> Response:
    """The reference: every call, what it takes and what it answers."""
    return _serve(services.reference, "index.html", request)


@router.get("/docs/{path:path}", dependencies=VIEWERS)
async def docs_asset(path: str, request: Request, services: Wired) -> Response:
    """A file of the reference."""
    return _serve(services.reference, path, request)


@router.get("/openapi.json", dependencies=VIEWERS)
async def openapi(request: Request, services: Wired) -> Response:
    """The reference for programs (OpenAPI 3.1)."""
    document = describe(request.app)
    if services.root_path:
        document = {**document, "servers": [{"url": services.root_path}]}
    return Response(msgspec.json.encode(document), media_type="application/json")


def _serve(folder: dict[str, File], path: str, request: Request) -> Response:
    if file := folder.get(path):
        return serve(file, request)
    raise NotFound(f"There is no file {path[:200]!r} here")
