"""The queue of a request, by the route that its message has taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from signalbox_agent.tasks.texts import clean


def queue_finder(app: Any) -> Callable[[Any], str]:
    """A function that names the queue of a request; an unknown one is named by the routing key."""

    @lru_cache(maxsize=1_000)
    def find(exchange: str, key: str) -> str:
        for name, queue in app.amqp.queues.consume_from.items():
            if queue.routing_key == key and (queue.exchange.name if queue.exchange else "") == exchange:
                return clean(name)
        return clean(key)

    def queue_of(request: Any) -> str:
        info = request.delivery_info
        return find(info.get("exchange") or "", info.get("routing_key") or "")

    return queue_of
