"""Queue of Celery's events: one that outlives the watch where the broker can keep it, else for the connection only.

A broker of AMQP keeps them in a durable queue for each host that watches. It forgets them after an hour without a
watch, and keeps 100,000 at most, so that nobody's broker is filled by a watch that does not come back. Redis' fan-out
keeps nothing (measured: 0 of 60 events arrive later); there an inspection after each connect repairs the gap.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from signalbox_agent.agentless.tasks import OpenTasks
from signalbox_agent.safety import complain

#: Seconds for which a broker keeps events for a watch that is away; and how many.
KEPT_FOR, KEPT = 3600.0, 100_000
#: Events that are on their way to the controller at the same time.
AHEAD = 1000
#: Seconds between two acknowledgements.
TURN = 0.2


@dataclass
class EventQueue:
    """Reads events; each is acknowledged when the controller has the events made of it."""

    app: Any
    host: str
    tasks: OpenTasks
    connected: Callable[[], None]
    #: The number up to which the controller has every event.
    acked: int = 0

    def consume(self, latest: Callable[[], int]) -> None:
        """Read until the connection breaks, which raises; `latest` answers the number of the latest event sent."""
        waiting: deque[tuple[int, Any]] = deque()
        with self.app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1)
            durable = connection.transport.driver_type == "amqp"

            def on_message(body: Any, message: Any) -> None:
                for event in body if isinstance(body, list) else [body]:
                    self._take(event)
                if durable:
                    waiting.append((latest(), message))

            channel = connection.channel()
            if durable:
                channel.basic_qos(0, AHEAD, False)
            consumer = channel.Consumer(
                [self._queue(connection, durable=durable)],
                callbacks=[on_message],
                no_ack=not durable,
                accept={self.app.conf.event_serializer, "json"},
            )
            with consumer:
                self.connected()
                while True:
                    try:
                        connection.drain_events(timeout=TURN)
                    except socket.timeout:  # noqa: UP041 - what kombu raises, also where it is not the same
                        connection.heartbeat_check()
                    self._acknowledge(waiting)

    def _queue(self, connection: Any, *, durable: bool) -> Any:
        from celery.events.event import get_exchange
        from kombu.entity import Queue

        exchange = get_exchange(connection, name=self.app.conf.event_exchange)
        kept = {"durable": True, "auto_delete": False, "expires": KEPT_FOR, "max_length": KEPT}
        passing = {"durable": False, "auto_delete": True}
        name = f"signalbox.watch.{self.host}"
        how = kept if durable else passing
        return Queue(name, exchange=exchange, routing_key="#", **how)  # type: ignore[no-untyped-call]

    def _take(self, event: dict[str, Any]) -> None:
        try:
            self.tasks.take(event)
        except Exception:  # noqa: BLE001 - an event of a kind that we do not know must not stop the others
            complain("an event of Celery's")

    def _acknowledge(self, waiting: deque[tuple[int, Any]]) -> None:
        last = None
        while waiting and waiting[0][0] <= self.acked:
            last = waiting.popleft()[1]
        if last is not None:
            last.ack(multiple=True)
