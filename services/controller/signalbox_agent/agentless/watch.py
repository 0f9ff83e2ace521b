"""`python -m signalbox_agent.agentless.watch`: watches workers without an agent, by Celery's events and inspection.

Run by a controller in the application's environment, which says where the broker is. It speaks with the controller in
JSON, one object a line: an order comes first, then `ack`, `agents`, `revoke`; out go numbered events and answers. It
ends with its controller. What it tells is what Celery says, and proves nothing: see `certainty` in the contract.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import random
import sys
import threading
import time
from typing import Any

from signalbox_agent.agentless.event_queue import EventQueue
from signalbox_agent.agentless.inspect import Look
from signalbox_agent.agentless.tasks import Watched
from signalbox_agent.safety import guarded

#: Seconds between two inspections, and before the second look at a task that its worker no longer names.
EVERY, AGAIN = 5.0, 2.0
#: Seconds before the next try to reach the broker: the first and the longest.
FIRST, LONGEST = 0.5, 30.0
#: Tasks that the workers are asked to give up in one go: each go takes a second, and a command can name thousands.
TOGETHER = 2_000


class Watch:
    """The parts, and the lines between us and the controller."""

    def __init__(self, app: Any, order: dict[str, Any], lines: Any, out: Any) -> None:
        """`lines` are what the controller says after its order; `out` is what it reads."""
        self._lines = lines
        self._out = out
        self._writing = threading.Lock()
        self._seq = 0
        self._pause = FIRST
        self._due = threading.Event()
        #: What is to be given up: first the tasks that a worker is known to have, each kind in its order.
        self._revokes: queue.PriorityQueue[tuple[bool, int, dict[str, Any]]] = queue.PriorityQueue()
        self._orders = itertools.count()
        self.tasks = Watched(self._tell, order["open"], order["agents"])
        self.look = Look(app, self.tasks, enable=order["enable_events"], lost_after=order["lost_after"])
        self.queue = EventQueue(app, order["host"], self.tasks, self._connected)

    def run(self) -> None:
        """Until the controller hangs up."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        threading.Thread(target=self._inspect, name="inspect", daemon=True).start()
        threading.Thread(target=self._revoke, name="revoke", daemon=True).start()
        while True:
            self._read()
            time.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - only jitter
            self._pause = min(self._pause * 2, LONGEST)

    def _read(self) -> None:
        try:
            self.queue.consume(lambda: self._seq)
        except Exception as error:  # noqa: BLE001 - kombu's transports raise what they like
            sys.stderr.write(f"Signalbox watch: no events can be read, which is tried again: {error!r}\n")

    def _connected(self) -> None:
        """What happened while there was no connection is looked up."""
        self._pause = FIRST
        self._due.set()

    def _tell(self, event: dict[str, Any]) -> None:
        with self._writing:
            self._seq += 1
            self._write({"type": "event", "seq": self._seq, "event": event})

    def _say(self, message: dict[str, Any]) -> None:
        with self._writing:
            self._write(message)

    def _write(self, message: dict[str, Any]) -> None:
        try:
            self._out.write(json.dumps(message, default=str) + "\n")
            self._out.flush()
        except OSError:
            os._exit(0)  # the controller is gone; the next one has a watch of its own

    def _listen(self) -> None:
        for line in self._lines:
            self._heard(line)
        os._exit(0)

    @guarded
    def _heard(self, line: str) -> None:
        message = json.loads(line)
        if message["type"] == "ack":
            self.queue.acked = message["seq"]
        elif message["type"] == "agents":
            self.tasks.agents = frozenset(message["nodes"])
        elif message["type"] == "revoke":
            self._revokes.put((message["task_id"] not in self.tasks.open, next(self._orders), message))

    def _revoke(self) -> None:
        """For ever: all that was ordered meanwhile goes to the workers together."""
        while True:
            orders = [self._revokes.get()[-1]]
            while len(orders) < TOGETHER and not self._revokes.empty():
                orders.append(self._revokes.get()[-1])
            try:
                details = self.look.revoke([order["task_id"] for order in orders])
            except Exception as error:  # noqa: BLE001
                details = [f"its broker cannot be reached ({error!r})"] * len(orders)
            for order, detail in zip(orders, details, strict=True):
                self._say({**order, "type": "revoked", "detail": detail})

    def _inspect(self) -> None:
        pause = 0.0
        while True:
            self._due.wait(pause)
            self._due.clear()
            try:
                pause = AGAIN if self.look.round() else EVERY
            except Exception as error:  # noqa: BLE001
                sys.stderr.write(f"Signalbox watch: the workers cannot be asked: {error!r}\n")
                pause = EVERY


def main() -> None:
    """Take the order, find the application, watch."""
    from celery.app.utils import find_app

    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the application prints is for the log
    order = json.loads(sys.stdin.readline())
    sys.path.insert(0, os.getcwd())
    Watch(find_app(order["app"]), order, sys.stdin, out).run()


if __name__ == "__main__":
    main()
