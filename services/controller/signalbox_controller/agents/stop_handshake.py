"""The handshake before a worker is stopped: what becomes of its tasks and its messages."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from signalbox.messages.events import AnyTaskEvent, TaskFailed, TaskRequeued
from signalbox_controller.agents.protocol import ControllerLine, MessageOwnership, Released, Stop

#: Seconds that a worker has to let go of its broker before it is killed; it takes milliseconds when it is well.
LET_GO_WITHIN = 0.25


class StopHandshake:
    """The handshake with one launch of a worker."""

    def __init__(self, send: Callable[[ControllerLine], bool], *, adopted: bool) -> None:
        """`send` sends a line if the worker is connected, and answers whether it is."""
        #: Whether what it holds of its broker has to be given back by us when it dies.
        self.ownership = adopted
        #: How many tasks it has ended because of a stop.
        self.stopped = 0
        #: The ids of all tasks that it has ended for that, also those that run again: what they launched may live on.
        self.ended: list[str] = []
        self._send = send
        self._stop: Stop | None = None
        self._released = asyncio.Event()

    def begin(self, stop: Stop) -> None:
        """Let it know what a stop means for its tasks, before any signal does."""
        self._stop = stop
        self._send(stop)

    def greet(self) -> None:
        """Send the stop again, as the worker has connected anew."""
        if self._stop is not None:
            self._send(self._stop)

    async def let_go(self) -> None:
        """A KILL is next: have it let go of its broker, if a stop was sent and it is able to."""
        self._released.clear()
        if self._stop is not None and self._send(msgspec.structs.replace(self._stop, kill=True)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._released.wait(), LET_GO_WITHIN)

    def on_line(self, line: MessageOwnership | Released) -> None:
        """Take in a line of the worker."""
        if isinstance(line, MessageOwnership):
            self.ownership = line.ours
        else:
            self._released.set()

    def note(self, event: AnyTaskEvent) -> None:
        """Count a task that the worker itself has ended."""
        if isinstance(event, (TaskFailed, TaskRequeued)) and event.outcome == "stopped":
            self.stopped += isinstance(event, TaskFailed)
            self.ended.append(event.task_id)
