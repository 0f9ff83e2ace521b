"""The controller's end of the agent protocol: takes all that an agent says, and says what a test wants said."""

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from signalbox.messages import events
from signalbox.messages.codec import decode_event
from signalbox_controller.agents import protocol
from support.streams import parts_of

Line = dict[str, Any]

#: Seconds that anything here may take before the test fails.
DEADLINE = 60.0
#: What an agent says of a cancel before its last word.
PROGRESS = ("signalled", "alive")


class Peer:
    """A Unix socket server in a thread; every line that comes must be one that the real controller can read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        #: When each line came, on the monotonic clock.
        self.times: list[float] = []
        #: Sent with the next welcome.
        self.cancelled: list[str] = []
        self.acked = 0
        #: Why an agent is not welcome; empty when it is.
        self.refusing = ""
        #: Whether it takes whole runs, as the controllers of today do.
        self.takes_runs = True
        #: Whether events are acknowledged.
        self.acking = True
        #: Whether anything is read at all, hello included.
        self.reading = True
        #: Set while an agent is connected.
        self.connected = threading.Event()
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self.open()

    def open(self) -> None:
        """Listen."""
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(4)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def come_back(self) -> Line:
        """Listen again, and answer the snapshot with which the agent begins."""
        heard = len(self.lines)
        self.open()
        return self.line("snapshot", after=heard)

    def close(self) -> None:
        """Be away: hang up, and stop listening."""
        self.path.unlink(missing_ok=True)
        for one in (self._listener, self._connection):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._listener = self._connection = None
        self.connected.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                if self._listener is not listener:  # we hung up while it came in
                    connection.close()
                    return
                before, self._connection = self._connection, connection
                self.connected.set()
                if before is not None and not self.reading:  # nobody else would close it
                    before.close()
                if self.reading:
                    threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            for line in file:
                self._take(connection, line)

    def _take(self, connection: socket.socket, line: bytes) -> None:
        decoded = protocol.decode(line)
        message = json.loads(line)
        told = [message]
        if message["type"] == "hello":
            welcome = {"type": "welcome", "acked": self.acked, "cancelled": self.cancelled}
            welcome["takes_runs"] = self.takes_runs
            self._send(connection, {"type": "refused", "why": self.refusing} if self.refusing else welcome)
        elif isinstance(decoded, protocol.Numbered | protocol.WholeRun):
            told += self._events(decoded)[: -1 if message["type"] == "event" else None]
            if self.acking:
                self.acked = max(self.acked, message["seq"])
                self._send(connection, {"type": "ack", "seq": message["seq"]})
        with self._changed:
            for one in told:
                self.lines.append(one)
                self.times.append(time.monotonic())
            self._changed.notify_all()

    @staticmethod
    def _events(line: protocol.Numbered | protocol.WholeRun) -> list[Line]:
        """The events of a line, each as a line of its own; all others have to be able to read them."""
        events = [json.loads(msgspec.json.encode(event)) for event in parts_of(protocol.event_of(line))]
        for event in events:
            decode_event(json.dumps(event | {"host": "here"}).encode())
        return [{"type": "event", "seq": line.seq, "event": event} for event in events]

    @staticmethod
    def _send(connection: socket.socket, message: Line) -> None:
        with contextlib.suppress(OSError):  # it hung up
            connection.sendall(json.dumps(message).encode() + b"\n")

    def say(self, **message: Any) -> None:
        """Send a line to the agent that is connected."""
        assert self._connection is not None, "no agent is connected"
        self._send(self._connection, message)

    def write(self, data: bytes) -> None:
        """The same with bytes as they are."""
        assert self._connection is not None, "no agent is connected"
        self._connection.sendall(data)

    # What a test waits for

    def wait(self, wanted: Callable[[Line], bool], what: str, *, within: float = DEADLINE, after: int = 0) -> Line:
        """The first line (of those after number `after`) that is `wanted`; fails the test after `within` seconds."""
        end = time.monotonic() + within
        with self._changed:
            while True:
                for line in self.lines[after:]:
                    if wanted(line):
                        return line
                if not self._changed.wait(end - time.monotonic()) and time.monotonic() > end:
                    latest = "\n".join(json.dumps(line)[:300] for line in self.lines[-8:])
                    pytest.fail(f"{what}: not heard within {within:g} s; the latest lines are\n{latest}")

    def line(self, kind: str, *, within: float = DEADLINE, after: int = 0) -> Line:
        """The first line of this type."""
        return self.wait(lambda line: line["type"] == kind, f"a line `{kind}`", within=within, after=after)

    def event(self, kind: str, task_id: str, *, within: float = DEADLINE) -> Any:
        """The first event of this type about this task, as the contract's own message."""
        line = self.wait(
            lambda line: (
                line["type"] == "event" and (line["event"]["type"], line["event"]["task_id"]) == (kind, task_id)
            ),
            f"{kind} of {task_id}",
            within=within,
        )
        event = decode_event(json.dumps(line["event"] | {"host": "here"}).encode())
        assert isinstance(event, getattr(events, kind))
        return event

    def kinds(self, task_id: str) -> list[str]:
        """The types of all events about a task, as they came."""
        with self._changed:
            told = [line["event"] for line in self.lines if line["type"] == "event"]
        return [event["type"] for event in told if event["task_id"] == task_id]

    def course(self, task_id: str) -> list[str]:
        """The same without TaskSignalled, which only a kill that takes a while is worth."""
        return [kind for kind in self.kinds(task_id) if kind != "TaskSignalled"]

    def when(self, line: Line) -> float:
        """When a line came, on the monotonic clock."""
        with self._changed:
            return next(at for at, one in zip(self.times, self.lines, strict=True) if one is line)

    def cancel(self, task_id: str, grace: float = 5.0) -> str:
        """Ask for a cancel and answer its command id."""
        command_id = f"command-{next(self._numbers)}"
        self.say(type="cancel", command_id=command_id, task_id=task_id, grace=grace)
        return command_id

    def answer(self, command_id: str, *, within: float = DEADLINE) -> Line:
        """The agent's last word on a cancel."""
        return self.wait(
            lambda line: line.get("command_id") == command_id and line["state"] not in PROGRESS,
            f"the last word on {command_id}",
            within=within,
        )

    def state(self, command_id: str, state: str, *, within: float = DEADLINE) -> Line:
        """The answer to a cancel that has this state."""
        return self.wait(
            lambda line: line.get("command_id") == command_id and line["state"] == state,
            f"`{state}` of {command_id}",
            within=within,
        )
