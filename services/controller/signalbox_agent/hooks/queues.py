"""Which queue a request came from."""

from __future__ import annotations

from typing import Any

from signalbox_agent.tasks.texts import clean

#: How many routes are remembered.
LIMIT = 1_000


class Queues:
    """Finds the queue by the route that a message has taken; unknown routes are named by their routing key."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._known: dict[tuple[str, str], str] = {}

    def of(self, request: Any) -> str:
        """The name of the queue."""
        info = request.delivery_info
        route = (info.get("exchange") or "", info.get("routing_key") or "")
        name = self._known.get(route)
        if name is None:
            name = self._find(*route)
            if len(self._known) < LIMIT:
                self._known[route] = name
        return name

    def _find(self, exchange: str, key: str) -> str:
        for name, queue in self._app.amqp.queues.consume_from.items():
            if queue.routing_key == key and (queue.exchange.name if queue.exchange else "") == exchange:
                return clean(name)
        return clean(key)
