"""Route of the live websocket."""

import asyncio
import contextlib
from collections.abc import Coroutine

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from signalbox_api.answers.json_response import refusal
from signalbox_api.errors import ApiError, CredentialsUnknown, Forbidden, NotSignedIn
from signalbox_api.live import frames
from signalbox_api.live.hub import Overrun, Watcher
from signalbox_api.routes.access import identify
from signalbox_api.routes.handlers import note_refusal
from signalbox_api.services import Services, services_of

router = APIRouter()

#: Why the server closed: private codes (RFC 6455, section 7.4.2), after the HTTP ones that they resemble.
CLOSE_SIGNED_OUT, CLOSE_TOO_SLOW = 4401, 4408
#: Seconds to send a frame, and to close.
SEND_WAIT, CLOSE_WAIT = 10.0, 1.0
#: Seconds between two checks of the browser's session.
CHECK_EVERY = 5.0


@router.websocket("/scheduler/live/")
async def live(socket: WebSocket, since: str = "") -> None:
    """Every change of the record as it is committed, from `since` on if that is still possible."""
    services = await services_of(socket)
    try:
        await identify(socket, services)
        with services.hub.watching() as watcher:
            await socket.accept()
            code = await _first(
                _send_changes(socket, services, watcher, since),
                _until_gone(socket),
                _until_signed_out(socket, services),
            )
    except ApiError as error:
        note_refusal(socket, error)
        await socket.send_denial_response(refusal(str(error), error.status, error.headers))
        return
    if code:
        with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            await asyncio.wait_for(socket.close(code), CLOSE_WAIT)


async def _first(*works: Coroutine[None, None, int | None]) -> int | None:
    """The result of the first one to end; the others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_changes(socket: WebSocket, services: Services, watcher: Watcher, since: str) -> int | None:
    try:
        until = services.tail.position  # what comes after it is in the watcher's queue
        missed = await services.tail.since(since, until) if since else None
        await _send(socket, frames.hello(until if missed is None else since, resync=missed is None))
        for frame in missed or ():
            await _send(socket, frame)
        await _send(socket, services.beats.frame())  # who vouches for what is shown, before the first beat is due
        while True:
            await _send(socket, await watcher.next())
    except (Overrun, TimeoutError):
        return CLOSE_TOO_SLOW
    except (WebSocketDisconnect, RuntimeError):  # it left meanwhile
        return None


async def _send(socket: WebSocket, frame: str) -> None:
    async with asyncio.timeout(SEND_WAIT):
        await socket.send_text(frame)


async def _until_gone(socket: WebSocket) -> int | None:
    """Wait for the browser to leave; its messages are ignored."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    return None


async def _until_signed_out(socket: WebSocket, services: Services) -> int | None:
    """Wait for the credential to be revoked or to expire."""
    while True:
        await asyncio.sleep(CHECK_EVERY)
        try:
            await identify(socket, services)
        except CredentialsUnknown:
            continue
        except (NotSignedIn, Forbidden):
            return CLOSE_SIGNED_OUT
