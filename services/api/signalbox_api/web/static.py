"""Static files: read once, with type and fingerprint, so that a browser need not load them twice."""

import gzip
import hashlib
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

#: Files of other types are not served.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}


class File(msgspec.Struct, frozen=True, kw_only=True):
    """Static file."""

    content: bytes
    #: The compressed content; None where it is no smaller.
    zipped: bytes | None
    type: str
    etag: str


def read_folder(name: str) -> dict[str, File]:
    """Every file below a folder of this package, by its path in it."""
    folder = Path(__file__).parents[1] / name
    return {str(path.relative_to(folder)): _file(path) for path in folder.rglob("*") if path.suffix in _TYPES}


def serve(file: File, request: Request) -> Response:
    """The file, or 304 when the browser has it. It asks each time, so that a new release shows at once."""
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.zipped and "gzip" in request.headers.get("accept-encoding", ""):
        content = file.zipped
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=file.type)


def _file(path: Path) -> File:
    content = path.read_bytes()
    zipped = gzip.compress(content, mtime=0)
    return File(
        content=content,
        zipped=zipped if len(zipped) < len(content) else None,
        type=_TYPES[path.suffix],
        etag=f'"{hashlib.sha256(content).hexdigest()[:20]}"',
    )
