"""Link to the controller: a Unix socket, one JSON object a line; nothing here ever waits.

Events go through the backlog and survive a reconnect. All else (answers, snapshots) is only for who is
connected now: a controller that was away asks anew for what it still wants.
"""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Callable, Sized
from time import monotonic, sleep
from typing import Any

from signalbox_agent.link.backlog import Backlog
from signalbox_agent.link.loop import Loop
from signalbox_agent.link.spool import Spool
from signalbox_agent.safety import complain, logger

Message = dict[str, Any]

#: Seconds between tries to connect, the first and the longest; the real ones are drawn below them.
FIRST_RETRY, LAST_RETRY = 0.2, 2.0
#: Seconds until a controller that does not answer to hello is tried anew.
WELCOME_WITHIN = 5.0
#: Seconds between two writes of events: each wakes the controller, and costs as much as making the events.
PACE = 0.02
#: Seconds before a full socket is tried again.
STALL = 0.02
#: Bytes: of one write, of all writes of one turn, and of a line from the controller.
CHUNK, TURN, LINE = 65_536, 262_144, 16_777_216
#: Answers that wait for a controller that does not read; beyond, it is disconnected.
ANSWERS = 10_000

_encode = json.JSONEncoder(separators=(",", ":")).encode


def line_of(message: Message) -> bytes:
    """A message as it is written."""
    return _encode(message).encode() + b"\n"


class Link:
    """The connection; it begins with hello, and sends once a turn."""

    def __init__(
        self, path: str, loop: Loop, hello: Callable[[], Message], on_message: Callable[[Message], None]
    ) -> None:
        self._path = path
        self._loop = loop
        self._hello = hello
        self._on_message = on_message
        self.backlog = Backlog()
        #: Where events go, too, while no controller listens; a beat has none.
        self.spool: Spool | None = None
        #: Why the controller would not have us; empty when it has not said so.
        self._refused = ""
        #: Set once a controller has answered for the first time.
        self.welcomed = threading.Event()
        #: Whether a controller has welcomed us and is there.
        self.online = False
        #: The same, and it takes whole runs.
        self.takes_runs = False
        #: What is noted and has yet to become events, and the function that makes them.
        self.noted: Sized = ()
        self.settle: Callable[[], object] = lambda: None
        self._socket: socket.socket | None = None
        self._input = b""
        self._output = b""
        self._answers: list[bytes] = []
        self._stalled_until = 0.0
        self._paced_until = 0.0
        self._pacing = False
        self._tries = 0
        self._flushing = False
        loop.on_turn, loop.idle = self._turn, self._idle

    # What the rest of the agent uses

    def event(self, event: str, run: str = "") -> None:
        """Send an event (JSON), with the fields of a whole run if it ends one; kept until the controller has it."""
        line = self.backlog.put(event, run)
        if self.spool is not None:
            self.spool.note(line)
        self.pace()
        self._loop.wake()

    def send(self, message: Message) -> None:
        """Send a message to the controller that is connected now, if there is one."""
        if self.online:
            self._answers.append(line_of(message))
            self._loop.wake()

    def connect(self) -> None:
        """Try now, and again from time to time until it works."""
        if self._socket is not None:
            return
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # not inherited through exec (PEP 446)
        peer.setblocking(False)
        try:
            peer.connect(self._path)  # with a Unix socket at once, or not at all
        except OSError:
            peer.close()
            self._retry()
            return
        self._socket = peer
        self._input = self._output = b""
        self._answers = [line_of(self._hello())]
        self._loop.add_reader(peer.fileno(), self._readable)
        self._loop.call_later(WELCOME_WITHIN, lambda: self._unwelcome(peer))
        self.flush()

    def flush(self) -> None:
        """Send what there is now, as far as the socket takes it."""
        if self._flushing or self._socket is None or not self._pending or monotonic() < self._stalled_until:
            return
        self._flushing = True  # a signal handler of Celery's may come back here
        try:
            self._send(self._socket)
        except BlockingIOError:
            self._stalled_until = monotonic() + STALL
            self._loop.call_later(STALL, self.flush)
            if len(self._answers) > ANSWERS:
                self._disconnect()
        except OSError:
            self._disconnect()
        finally:
            self._flushing = False

    def finish(self, within: float) -> None:
        """Send the rest before the process ends; waits so many seconds at most."""
        end = monotonic() + within
        while self._socket is not None and monotonic() < end:
            self._readable()  # a peer that waits for us to take its acknowledgements would not read on
            self._stalled_until = 0.0
            self.flush()
            if (self.online or self._refused) and not self._pending:
                break
            sleep(STALL)
        if self.spool is not None and len(self.backlog) and not self._refused:
            self.spool.open()  # the controller may be dying, too, and not have read all

    def abandon(self) -> None:
        """Let go of connection and loop after a fork, in the child: they are the parent's."""
        self.online = self.takes_runs = False
        if self._socket is not None:
            self._socket.detach()  # closed with the loop's descriptors
            self._socket = None
        self._loop.abandon()

    # Inside

    @property
    def _pending(self) -> bool:
        return bool(self._output or self._answers or (self.online and (self.noted or self.backlog.waiting)))

    def _idle(self) -> bool:
        return not self._answers and (self._pacing or not self._pending)

    def _turn(self) -> None:
        """Answers go at once, events a few milliseconds after those before them."""
        if self._answers:
            self.flush()
        if self._pending and not self.pace():
            self._paced_until = monotonic() + PACE
            self.settle()  # also when the socket is full: what is noted knows no limit
            self.flush()

    def pace(self) -> bool:
        """Whether events have to wait; asked when they come, as a timer that a turn sets costs another turn."""
        if not self._pacing and self.online and (wait := self._paced_until - monotonic()) > 0:
            self._pacing = True
            self._loop.call_later(wait, self._paced)
        return self._pacing

    def _paced(self) -> None:
        self._pacing = False
        self._turn()

    def _send(self, peer: socket.socket) -> None:
        sent = 0
        while sent < TURN:
            self._output = self._output or self._compose()
            if not self._output:
                return
            done = peer.send(self._output)
            sent += done
            self._output = self._output[done:]
        self._loop.call_later(0, self.flush)  # let Celery have its turn

    def _compose(self) -> bytes:
        """Events first, so that a proof comes before the answer that rests on it."""
        self.settle()
        lines = list(self.backlog.take(CHUNK)) if self.online else []
        answers, self._answers = self._answers, []
        return b"".join(lines + answers)

    def _readable(self) -> None:
        peer = self._socket
        if peer is None:
            return
        try:
            data = peer.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._disconnect()
            return
        *lines, self._input = (self._input + data).split(b"\n")
        for line in filter(None, lines):
            self._line(line)
        if len(self._input) > LINE:
            self._disconnect()

    def _line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            if message["type"] == "ack":
                self.backlog.ack(message["seq"])
                return
            self.settle()
            if message["type"] == "welcome":
                self._welcome(message)
            elif message["type"] == "refused":
                self._refuse(str(message["why"]))
            elif message["type"] == "ping":
                self.send({"type": "pong"})
            self._on_message(message)
            if message["type"] == "welcome":
                self.welcomed.set()
        except Exception:  # noqa: BLE001 - see safety
            complain("a line from the controller")  # one place: the line is in the error

    def _welcome(self, message: Message) -> None:
        self._tries, self._refused = 0, ""
        self.online = True
        self.takes_runs = bool(message.get("takes_runs"))
        if self.spool is not None:
            self.spool.close()
        self.backlog.rewind(message["acked"])

    def _refuse(self, why: str) -> None:
        """Log the reason once, and stay connected: so the controller sees the end of this process."""
        self.welcomed.set()  # nothing more is to be waited for
        if self.spool is not None:
            self.spool.close()  # nobody would read it
        if why != self._refused:
            logger.warning("Signalbox: this worker has not joined, which does not affect it: %s", why)
        self._refused = why

    def _unwelcome(self, peer: socket.socket) -> None:
        if self._socket is peer and not self.online and not self._refused:
            self._disconnect()

    def _disconnect(self) -> None:
        self.settle()
        peer, self._socket = self._socket, None
        self.online = self.takes_runs = False
        self._answers = []
        if peer is not None:
            self._loop.remove_reader(peer.fileno())
            peer.close()
        self._retry()

    def _retry(self) -> None:
        if self.spool is not None and not self._refused:
            self.spool.open()
        longest = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._tries, 8))
        self._tries += 1
        self._loop.call_later(random.uniform(FIRST_RETRY / 2, longest), self.connect)  # noqa: S311 - only jitter
