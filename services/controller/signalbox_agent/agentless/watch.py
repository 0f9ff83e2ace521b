"""Watch of workers without an agent, by Celery's events and inspection: `python -m signalbox_agent.agentless.watch`.

Run by a controller in the application's environment, which says where the broker is. It speaks with the controller in
JSON, one object a line: an order comes first, then `ack`, `agents`, `revoke`; out go numbered events and answers. It
ends with its controller. Its events are as true as those of Celery, and prove nothing: see `certainty` in the contract.
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
from signalbox_agent.agentless.inspect import Inspector
from signalbox_agent.agentless.tasks import OpenTasks
from signalbox_agent.safety import guarded

#: Seconds between two inspections, and before the second one when a worker no longer names a task.
EVERY, AGAIN = 5.0, 2.0
#: Seconds before the next try to reach the broker: the first and the longest.
FIRST, LONGEST = 0.5, 30.0
#: Tasks that the workers are asked to revoke in one go: each go takes a second, and a command can name thousands.
TOGETHER = 2_000


class Watch:
    """The parts of the watch, and its lines to and from the controller."""

    def __init__(self, app: Any, order: dict[str, Any], lines: Any, out: Any) -> None:
        """`lines` come from the controller, after its order; `out` goes to it."""
        self._lines = lines
        self._out = out
        self._writing = threading.RLock()
        self._seq = 0
        self._pause = FIRST
        self._due = threading.Event()
        #: Orders to revoke: first the tasks that a worker is known to have, each kind in its order.
        self._revokes: queue.PriorityQueue[tuple[bool, int, dict[str, Any]]] = queue.PriorityQueue()
        self._orders = itertools.count()
        self.tasks = OpenTasks(self._publish, order["open"], order["agents"])
        self.inspector = Inspector(app, self.tasks, enable=order["enable_events"], lost_after=order["lost_after"])
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
        """Inspect the workers now: events were lost while there was no connection."""
        self._pause = FIRST
        self._due.set()

    def _publish(self, event: dict[str, Any]) -> None:
        with self._writing:
            self._seq += 1
            self._send({"type": "event", "seq": self._seq, "event": event})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._writing:
                self._out.write(json.dumps(message, default=str) + "\n")
                self._out.flush()
        except OSError:
            os._exit(0)  # the controller is gone; the next one has a watch of its own

    def _listen(self) -> None:
        for line in self._lines:
            self._on_line(line)
        os._exit(0)

    @guarded
    def _on_line(self, line: str) -> None:
        message = json.loads(line)
        if message["type"] == "ack":
            self.queue.acked = message["seq"]
        elif message["type"] == "agents":
            self.tasks.agents = frozenset(message["nodes"])
        elif message["type"] == "revoke":
            self._revokes.put((message["task_id"] not in self.tasks.open, next(self._orders), message))

    def _revoke(self) -> None:
        """Revoke for ever: all orders of the meantime go to the workers together."""
        while True:
            orders = [self._revokes.get()[-1]]
            while len(orders) < TOGETHER and not self._revokes.empty():
                orders.append(self._revokes.get()[-1])
            try:
                details = self.inspector.revoke([order["task_id"] for order in orders])
            except Exception as error:  # noqa: BLE001
                details = [f"its broker cannot be reached ({error!r})"] * len(orders)
            for order, detail in zip(orders, details, strict=True):
                self._send({**order, "type": "revoked", "detail": detail})

    def _inspect(self) -> None:
        pause, nodes = 0.0, None
        while True:
            self._due.wait(pause)
            self._due.clear()
            try:
                pause = AGAIN if self.inspector.round() else EVERY
                if nodes != (nodes := sorted({*self.tasks.nodes} - self.tasks.agents)):
                    self._send({"type": "nodes", "names": nodes})
            except Exception as error:  # noqa: BLE001
                sys.stderr.write(f"Signalbox watch: the workers cannot be asked: {error!r}\n")
                pause = EVERY


def _end(died: threading.ExceptHookArgs) -> None:
    """End the watch, which is launched again: without one of its threads it would look alive."""
    sys.stderr.write(f"Signalbox watch: its thread {died.thread and died.thread.name} has died: {died.exc_value!r}\n")
    sys.stderr.flush()
    os._exit(1)


def main() -> None:
    """Take the order, find the application, watch."""
    from celery.app.utils import find_app

    threading.excepthook = _end

    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the application prints is for the log
    order = json.loads(sys.stdin.readline())
    sys.path.insert(0, os.getcwd())
    Watch(find_app(order["app"]), order, sys.stdin, out).run()


if __name__ == "__main__":
    main()
