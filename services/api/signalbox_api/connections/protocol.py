"""Protocols of uvicorn with limits that it does not have: connections, the size of a head, the time to send a request.

`httptools` collects a header until it is complete, however long it grows, and uvicorn waits for a request without end
once its first byte has come.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Literal

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from signalbox.lines import encode
from signalbox_api.answers.json_response import ErrorAnswer
from signalbox_api.connections.shares import Refusal, Shares
from signalbox_api.sources import source_of
from signalbox_api.web.security import BODY_WAIT, LARGE_BODY

log = logging.getLogger(__name__)

#: Bytes of a request's first line and headers, and of the trailers after its body.
MOST_HEAD = 64 * 1024
#: Bytes of a whole request: the largest body, and what chunks need besides.
MOST_REQUEST = MOST_HEAD + 2 * LARGE_BODY
#: Seconds for the head, from its first byte on, and for a new connection to send that.
HEAD_WAIT = 10.0
#: Seconds for the body, whether or not somebody reads it; who reads it answers 408 earlier, in words.
WHOLE_BODY_WAIT = BODY_WAIT + 5.0
#: Seconds for the rest of a body after the answer, so that a client that still sends can read it.
LINGER_WAIT = 5.0
#: Seconds for a client to take some of an answer, and for the rest of it once the connection is being closed.
WRITE_WAIT = 30.0
#: Seconds for the next request on a connection.
IDLE_WAIT = 15.0

_TOO_LARGE = Refusal(431, f"The head of the request is larger than {MOST_HEAD // 1024} KiB; send less")
_BODY_TOO_LARGE = Refusal(413, f"The request is larger than {MOST_REQUEST // 1024} KiB; send less")
_LATE = Refusal(408, f"The head of the request did not arrive within {HEAD_WAIT:g} s; send it again")
_UNREADABLE = Refusal(400, "This cannot be read: it is no request in HTTP/1.1")
_GIVEN_WAY = Refusal(429, "Your address has too many connections; this one was closed while its request arrived")


class _Refused(Exception):
    """A limit was passed in the middle of the parser's work."""


class LimitedProtocol(HttpToolsProtocol):
    """HTTP connection with limits. What passes one is answered in words where nothing has been answered yet."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        shares: Shares,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._shares = shares
        #: The part of a request that arrives.
        self._arriving: Literal["head", "body"] | None = None
        #: Requests that have arrived and are not answered yet.
        self._whole = 0
        #: Bytes of the present request as they came, and of its lines in full.
        self._raw = self._lines = 0
        self._refusal: Refusal | None = None
        self._deadline: asyncio.TimerHandle | None = None
        #: When a client that takes nothing is cut off.
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if refusal := self._shares.enter(self, source_of(self.client[0] if self.client else "")):
            self._refuse(refusal)
        else:
            self._arm(HEAD_WAIT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._shares.leave(self)
        super().connection_lost(exc)
        self._stop_stalled()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_stalled()
        self._stalled = self.loop.call_later(WRITE_WAIT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stalled()

    def timeout_keep_alive_handler(self) -> None:
        """The next request did not come."""
        self._close()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._raw += len(data)
        if self._arriving == "head" and self._raw > MOST_HEAD:
            self._refuse(_TOO_LARGE)
        elif self._arriving == "body" and self._raw > MOST_REQUEST:
            self._refuse(_BODY_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving, self._raw, self._lines = "head", 0, 0
        self._settle(HEAD_WAIT)

    def on_url(self, url: bytes) -> None:
        self._measure(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._measure(len(name) + len(value) + 4)  # with what stands between and behind them
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._arriving = "body"
        self._settle(WHOLE_BODY_WAIT)

    def on_message_complete(self) -> None:
        self._arriving = None
        if self.cycle is not None:  # none: a websocket
            super().on_message_complete()
            self._whole += not self.cycle.response_complete
        self._settle(IDLE_WAIT)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._whole -= self._whole > 0
        if self.transport.is_closing():
            self._close()
        else:
            self._settle(LINGER_WAIT if self._arriving else IDLE_WAIT)

    def handle_websocket_upgrade(self) -> None:
        self._disarm()
        self._stop_stalled()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, LimitedWebSocket) and not self.transport.is_closing():
            self._shares.replace(self, protocol)
            protocol.shares = self._shares

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words say less
        """The parser has given up."""
        self._refuse(self._refusal or _UNREADABLE)

    def give_way(self) -> None:
        """Close; a new connection needs the place."""
        if self.transport.get_write_buffer_size():  # a client that does not take its answer
            self.transport.abort()
        elif self._arriving:
            self._refuse(_GIVEN_WAY)
        else:
            self._close()

    def _measure(self, more: int) -> None:
        self._lines += more
        if self._lines > MOST_HEAD:
            self._refusal = _TOO_LARGE
            raise _Refused

    def _settle(self, wait: float) -> None:
        """Take the state that follows from what arrives and what is answered, with this time for it."""
        if self._whole:
            self._shares.change(self, "busy")
            self._disarm()
        else:
            self._shares.change(self, "reading" if self._arriving else "idle")
            self._arm(wait)

    def _late(self) -> None:
        self._deadline = None
        if self._arriving == "head":
            self._refuse(_LATE)
        else:
            self._close()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in words, unless an answer is under way, and close."""
        self._disarm()
        if self.transport.is_closing():
            return
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(_answer(refusal))
        log.debug("refused %s: %s", self.client[0] if self.client else "somebody", refusal.message)
        self._shares.refused[refusal.status] += 1
        self._close()

    def _close(self) -> None:
        """Close once the client has taken what was written, or has had the time for it."""
        self._disarm()
        self.transport.close()
        self._deadline = self.loop.call_later(WRITE_WAIT, self.transport.abort)

    def _arm(self, wait: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(wait, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """Websocket that counts as a connection of its source."""

    shares: Shares | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.shares is not None:
            self.shares.leave(self)
        super().connection_lost(exc)

    def give_way(self) -> None:
        """Close; never asked of it, as a websocket is busy."""
        self.transport.close()


def _answer(refusal: Refusal) -> bytes:
    """The whole of an answer, as it is sent."""
    body = encode(ErrorAnswer(message=refusal.message))
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        "retry-after: 5\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
