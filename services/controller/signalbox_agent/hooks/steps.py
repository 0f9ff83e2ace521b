"""Where the agent stands in Celery's boot steps.

Two of them: one of the worker's, which starts before anything is consumed, so that what was cancelled
meanwhile is known by then; one of the consumer's, which begins anew with every connection to the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from celery import bootsteps

from signalbox_agent.broker.ownership import Custody
from signalbox_agent.hooks.reconnect import surviving
from signalbox_agent.hooks.requests import Claims


class Agent(Protocol):
    """What the boot steps call; each call is guarded and never raises."""

    claims: Claims
    custody: Custody

    def start(self) -> None:
        """The pool is up; nothing is consumed yet."""

    def turning(self, hub: Any) -> None:
        """Celery's event loop begins to turn."""

    def consuming(self) -> None:
        """The consumer takes messages."""

    def standing_still(self, *, for_good: bool) -> None:
        """Celery's event loop has stopped: until the broker is back, or for good."""


def worker_step(agent: Agent) -> type:
    """The step of the worker; the consumer is the last one, so it comes before anything is consumed."""

    class SignalboxStep(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Pool",)

        def start(self, _worker: Any) -> None:
            agent.start()

        def stop(self, _worker: Any) -> None:
            return

        def terminate(self, _worker: Any) -> None:
            return

    return SignalboxStep


def consumer_step(agent: Agent) -> type:
    """The step of the consumer."""

    class SignalboxConsumerStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            consumer.update_strategies = claiming(agent, consumer, consumer.update_strategies)
            if (lost := getattr(consumer, "on_connection_error_after_connected", None)) is not None:
                consumer.on_connection_error_after_connected = surviving(consumer, lost)

        def start(self, consumer: Any) -> None:
            agent.custody.take(consumer.task_consumer.channel)
            if consumer.hub is None:
                agent.consuming()
            else:
                consumer.hub.call_soon(agent.consuming)  # the first turn comes after the first `basic.consume`

        def register_with_event_loop(self, _consumer: Any, hub: Any) -> None:
            agent.turning(hub)

        def stop(self, consumer: Any) -> None:
            for_good = consumer.blueprint.state != bootsteps.RUN
            if for_good:
                agent.custody.close()  # a drain may be cut short by a KILL at any time
            agent.standing_still(for_good=for_good)

        terminate = stop

    return SignalboxConsumerStep


def claiming(agent: Agent, consumer: Any, update_strategies: Callable[[], None]) -> Callable[[], None]:
    """Strategies keep the Request class of their task, so it has to be set before each time they are built."""

    def update() -> None:
        agent.claims.claim(consumer.app.tasks)
        update_strategies()

    return update
