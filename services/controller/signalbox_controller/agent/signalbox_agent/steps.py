"""Where the agent stands in Celery's boot steps.

Two of them: one of the worker's, which starts before anything is consumed, so that what was cancelled
meanwhile is known by then; one of the consumer's, which begins anew with every connection to the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import bootsteps

from signalbox_agent.reconnect import surviving

if TYPE_CHECKING:
    from signalbox_agent.worker import WorkerAgent


def worker_step(agent: WorkerAgent) -> type:
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


def consumer_step(agent: WorkerAgent) -> type:
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


def claiming(agent: WorkerAgent, consumer: Any, update_strategies: Callable[[], None]) -> Callable[[], None]:
    """Strategies keep the Request class of their task, so it has to be set before each time they are built."""

    def update() -> None:
        agent.claims.claim(consumer.app.tasks)
        update_strategies()

    return update
