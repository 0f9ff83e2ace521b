"""Route of the live websocket."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from signalbox_api.answers.json_response import refusal
from signalbox_api.errors import ApiError, BadMessage, CredentialsUnknown, Forbidden, NotSignedIn
from signalbox_api.live import frames
from signalbox_api.live.subscription import Subscribe, read_message, read_subscription
from signalbox_api.live.watcher import Frame, Watcher
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
async def live(socket: WebSocket, since: str = "", subscription: str = "") -> None:
    """The changes of the record as they are committed, from `since` on if that is still possible.

    With a subscription only those that belong to it, which a message can change; see `live.subscription`.
    """
    services = await services_of(socket)
    try:
        caller = await identify(socket, services)
        with services.callers.holding(caller.issuer), services.hub.watching() as watcher:
            await socket.accept()
            code = await _first(
                _send_changes(socket, services, watcher, since, subscription),
                _read_messages(socket, watcher),
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


async def _send_changes(
    socket: WebSocket, services: Services, watcher: Watcher, since: str, subscription: str
) -> int | None:
    try:
        try:
            chosen = read_subscription(subscription) if subscription else None
        except BadMessage as error:
            chosen = None
            await _send(socket, frames.refused(str(error)))
        await _begin(socket, services, watcher, Subscribe(subscription=chosen, since=since), frames.hello)
        while True:
            frame = await watcher.next()
            if isinstance(frame, Subscribe):
                await _begin(socket, services, watcher, frame, frames.subscribed)
            else:
                await _send(socket, frame.text)
    except TimeoutError:
        return CLOSE_TOO_SLOW
    except (WebSocketDisconnect, RuntimeError):  # it left meanwhile
        return None


async def _begin(
    socket: WebSocket, services: Services, watcher: Watcher, wanted: Subscribe, first: Callable[..., str]
) -> None:
    """Send what the subscription has missed; what comes from now on waits in the watcher's queue."""
    until = services.tail.position
    channel = services.hub.subscribe(watcher, wanted.subscription)
    missed = await services.tail.since(wanted.since, until, channel) if wanted.since else None
    await _send(socket, first(until if missed is None else wanted.since, resync=missed is None))
    for frame in missed or ():
        await _send(socket, frame)
    await _send(socket, services.beats.frame(until))  # who vouches for what is shown, before the first beat is due


async def _send(socket: WebSocket, frame: str) -> None:
    async with asyncio.timeout(SEND_WAIT):
        await socket.send_text(frame)


async def _read_messages(socket: WebSocket, watcher: Watcher) -> int | None:
    """Take the messages of the browser until it leaves."""
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        try:
            watcher.request(read_message(message.get("text") or message.get("bytes") or ""))
        except BadMessage as error:
            watcher.put(Frame(frames.refused(str(error))))
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
