"""One connection to an agent: bytes to lines, lines to bytes, and neither side able to drown the other."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from typing import Protocol, cast

from signalbox.errors import UnreadableMessage
from signalbox.lines import encode_line
from signalbox_controller.agents.protocol import AgentLine, ControllerLine, Hello, decode
from signalbox_controller.linux.peers import Peer, peer_of

log = logging.getLogger(__name__)

#: Bytes of one line; an agent keeps its lines far below.
LINE_LIMIT = 1 << 20
#: Bytes that may wait for an agent which does not read; all that it must refuse, which comes with the welcome, may be
#: half of that.
UNREAD_LIMIT = 32 << 20
#: Seconds within which an agent has to say hello.
HELLO_WITHIN = 5.0


class Listener(Protocol):
    """The reader of an agent's lines."""

    def handle_line(self, line: AgentLine) -> None:
        """A line came."""

    def on_disconnect(self, connection: "Connection") -> None:
        """The connection is gone; the process may live on."""


class Connection(asyncio.Protocol):
    """An asyncio protocol and not a stream: it saves a turn of the loop on every cancel."""

    def __init__(
        self, admit: Callable[["Connection", Hello], Listener | None], users: Collection[int] | None = None
    ) -> None:
        """`admit` answers who listens to this agent; None turns it away. Others than `users` are not read at all."""
        self._admit = admit
        self._users = users
        self._listener: Listener | None = None
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._skipping = False
        self._timer: asyncio.TimerHandle | None = None
        #: Who is at the other end, by the kernel; nobody (pid 0) when it has hung up.
        self.peer = Peer(0, -1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        with contextlib.suppress(OSError):
            self.peer = peer_of(transport.get_extra_info("socket"))
        if self._users is not None and self.peer.uid not in self._users:
            self._transport.abort()
            return
        self._timer = asyncio.get_running_loop().call_later(HELLO_WITHIN, self._no_hello)

    def _no_hello(self) -> None:
        if self._listener is None:
            log.warning("A connection to the agents' socket said no hello within %g s: closed", HELLO_WITHIN)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.on_disconnect(self)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line:
                self._line(line)
        if len(self._rest) > LINE_LIMIT:
            log.error("An agent sent a line of more than %d bytes: skipped", LINE_LIMIT)
            self._rest, self._skipping = b"", True

    def _line(self, data: bytes) -> None:
        try:
            line = decode(data)
        except UnreadableMessage as error:
            log.error("An agent sent something unreadable: %s", error)  # noqa: TRY400 - the text says it all
            return
        if self._listener is not None:
            self._listener.handle_line(line)
        elif isinstance(line, Hello):
            self._listener = self._admit(self, line)
            if self._listener is None:
                self.close()

    def send(self, line: ControllerLine) -> None:
        """Send a line; a peer that lets megabytes wait is cut off, and connects anew when it is well."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(encode_line(line))
        if self._transport.get_write_buffer_size() > UNREAD_LIMIT:
            log.error("An agent does not read what we send: cut off")
            self._transport.abort()

    def hold(self, paused: bool) -> None:
        """Stop reading, so that the agent keeps its events; or go on."""
        if self._transport is None or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()
