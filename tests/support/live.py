"""Browsers of the live connection, and changes for them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect

from signalbox.bus import names
from support.api import Api, Json
from support.eventually import HANGS


@asynccontextmanager
async def browser(api: Api, since: str = "", **headers: str) -> AsyncIterator[ClientConnection]:
    headers = headers or {"Authorization": f"Bearer {api.token}"}
    url = f"{api.url.replace('http', 'ws')}/scheduler/live/" + (f"?since={since}" if since else "")
    async with connect(url, additional_headers=headers, proxy=None, open_timeout=HANGS) as socket:
        yield socket


async def frame(socket: ClientConnection, kind: str) -> Json:
    """The next frame of a kind, whatever comes before it."""
    async with asyncio.timeout(HANGS):
        while True:
            found: Json = json.loads(await socket.recv())
            if found["type"] == kind:
                return found


async def publish(redis: Any, *keys: str) -> list[str]:
    """Changes, as the reconciler publishes them; their positions."""
    positions = []
    for key in keys:
        change = {"kind": "task", "key": key, "row": {"task_id": key, "status": "running"}}
        positions.append((await redis.xadd(names.CHANGES, {"data": json.dumps(change)})).decode())
    return positions


async def keys_of(socket: ClientConnection, count: int) -> list[str]:
    """The keys of the next changes."""
    found: list[str] = []
    while len(found) < count:
        found += [change["key"] for change in (await frame(socket, "changes"))["changes"]]
    return found


def task_row(key: str, status: str, **other: str | None) -> Json:
    """Of a task that is new, unless told otherwise."""
    names = {"name": "charge", "celery_name": "shop.charge", "created_at": "2999-01-01T00:00:00Z"}
    return {"task_id": key, "status": status, **names, **other}


async def tell(redis: Any, *rows: Json, kind: str = "task") -> str:
    """Publish these rows as changes; the position of the last."""
    position = b""
    for row in rows:
        change = {"kind": kind, "key": row.get("task_id") or row["name"], "row": row}
        position = await redis.xadd(names.CHANGES, {"data": json.dumps(change)})
    return position.decode()


def subscribed(**subscription: Any) -> str:
    return "&subscription=" + quote(json.dumps(subscription))


async def statuses_of(socket: ClientConnection, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        changes = (await frame(socket, "changes"))["changes"]
        found += [f"{change['key']} {change['row'].get('status', '')}".strip() for change in changes]
    return found
