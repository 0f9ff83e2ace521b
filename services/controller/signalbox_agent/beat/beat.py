"""The agent in beat, in a thread of its own, as beat has no event loop and sleeps between ticks: reports the ticks."""

from __future__ import annotations

import os
from time import monotonic
from typing import Any

from signalbox_agent import PROTOCOL
from signalbox_agent.beat.own_lock import wait_for_lock
from signalbox_agent.beat.permission import Permission
from signalbox_agent.beat.schedule import LeasedSchedule
from signalbox_agent.celery_compat.names import BEAT_NAMES, Missing
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded, logger

#: Seconds between two `tick` lines at least, unless the scheduler pauses for longer.
TICK_EVERY = 1.0
#: Seconds that an ending beat may spend on what is still to be sent.
FLUSH_WITHIN = 0.5


class BeatAgent:
    """All of the agent in one beat."""

    def __init__(self, service: Any, path: str, instance: str) -> None:
        """`service` is Celery's beat Service, about to tick."""
        self._service = service
        self._instance = instance
        self._ready = False
        self._stopping = False
        #: What it waits for, unless it is ready.
        self._waiting = ""
        self._sent_at = 0.0
        #: On the monotonic clock.
        self._next_tick = 0.0
        self.loop = Loop()
        self.link = Link(path, self.loop, self._hello, self._on_message)
        self._permission = Permission(self.loop, self.link)
        self._missing = Missing(BEAT_NAMES).sentences

    def install(self) -> None:
        """Watch the scheduler, and connect."""
        for sentence in self._missing:
            logger.warning("Signalbox: %s", sentence)
        scheduler = self._service.scheduler
        LeasedSchedule(scheduler, self._permission, self._ticked, self._send, self._waits)
        os.register_at_fork(after_in_child=guarded(self.link.abandon))
        self.loop.start_thread()
        with self.loop.lock:
            self.link.connect()
        wait_for_lock(scheduler, self._permission, self._waits)

    def _waits(self, reason: str) -> None:
        with self.loop.lock:
            self._ready, self._waiting = False, reason
            self.link.send({"type": "waiting", "reason": reason})

    def _send(self, message: dict[str, Any]) -> None:
        with self.loop.lock:
            self.link.send(message)

    @guarded
    def _ticked(self, pause: float, held: bool) -> None:
        with self.loop.lock:
            if not self._ready and not held:
                self._ready = True
                self.link.send({"type": "ready"})
            now = monotonic()
            self._next_tick = now + max(pause, TICK_EVERY) + TICK_EVERY  # ticks are not sent more often
            # A long pause is always sent: the controller would take it for a hang.
            if pause >= TICK_EVERY or now - self._sent_at >= TICK_EVERY:
                self._sent_at = now
                self._say_tick()

    def _say_tick(self) -> None:
        self.link.send({"type": "tick", "due_in": max(0.0, self._next_tick - monotonic())})

    def _on_message(self, message: dict[str, Any]) -> None:
        self._permission.on_message(message)
        if message["type"] == "welcome":  # both may have come since the hello
            if self._ready:
                self.link.send({"type": "ready"})
            elif self._waiting:
                self.link.send({"type": "waiting", "reason": self._waiting})
            if self._next_tick:  # a scheduler that hangs will send no other
                self._say_tick()
            if self._stopping:
                self.link.send({"type": "stopping"})

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "protocol": PROTOCOL,
            "instance": self._instance,
            "pid": os.getpid(),
            "kind": "beat",
            "node": "",
            "pool": "",
            "ready": self._ready,
            "missing": self._missing,
        }

    @guarded
    def finish(self) -> None:
        """Report that the process ends."""
        with self.loop.lock:
            self._stopping = True
            self.link.send({"type": "stopping"})
            self.link.finish(FLUSH_WITHIN)
