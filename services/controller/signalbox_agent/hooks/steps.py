"""Boot steps of the agent.

There are two: one of the worker's, which starts before anything is consumed, so that what was cancelled
meanwhile is known by then; one of the consumer's, which begins anew with every connection to the broker.
"""

from __future__ import annotations

from typing import Any, Protocol

from celery import bootsteps
from celery.utils.log import get_logger

from signalbox_agent.broker.ownership import MessageOwnership
from signalbox_agent.celery_compat import worker as compat
from signalbox_agent.safety import guarded

log = get_logger(__name__)


class Agent(Protocol):
    """The calls of the boot steps; each is guarded and never raises."""

    ownership: MessageOwnership

    def start(self) -> None:
        """The pool is up; nothing is consumed yet."""

    def closing(self) -> None:
        """The worker begins to shut down: the pool takes no more tasks, and the consumer is the next to stop."""

    def claim(self, tasks: Any) -> None:
        """Strategies are about to be built for these tasks."""

    def built(self, consumer: Any) -> None:
        """Strategies were built."""

    def took(self, consumer: Any) -> None:
        """The consumer has its queues, and is about to take messages from them."""

    def rejected(self, kind: str, message: Any, error: Any) -> None:
        """A message is about to be thrown away."""

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

        def close(self, _worker: Any) -> None:
            agent.closing()

    return SignalboxStep


def consumer_step(agent: Agent) -> type:
    """The step of the consumer."""

    class SignalboxConsumerStep(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def __init__(self, consumer: Any, **kwargs: Any) -> None:
            super().__init__(consumer, **kwargs)
            hook_into(agent, consumer)

        def start(self, consumer: Any) -> None:
            agent.took(consumer)
            if consumer.hub is None:
                agent.consuming()
            else:
                consumer.hub.call_soon(agent.consuming)  # the first turn comes after the first `basic.consume`

        def register_with_event_loop(self, _consumer: Any, hub: Any) -> None:
            agent.turning(hub)

        def stop(self, consumer: Any) -> None:
            for_good = consumer.blueprint.state != bootsteps.RUN
            if for_good:
                agent.ownership.close()  # a drain may be cut short by a KILL at any time
            agent.standing_still(for_good=for_good)

        terminate = stop

    return SignalboxConsumerStep


@guarded
def hook_into(agent: Agent, consumer: Any) -> None:
    """Before strategies are built, set the Request class that they keep; survive the loss of the broker."""
    compat.before_strategies(consumer, lambda: agent.claim(consumer.app.tasks))
    compat.after_strategies(consumer, lambda: agent.built(consumer))
    compat.before_connection_loss(consumer, lambda: tolerate_close(consumer))

    @guarded
    def rejected(kind: str, message: Any, error: Any) -> None:
        if compat.is_from_task_queue(consumer, message):
            agent.rejected(kind, message, error)

    compat.before_rejection(consumer, rejected)


@guarded
def tolerate_close(consumer: Any) -> None:
    """Have the consumer's connection close without an error: when it is lost, Celery closes it twice.

    With Redis and messages that are not acknowledged yet, Celery 5.7 first fails to give these back, and then, in a
    second close, raises AttributeError: the worker would shut down, take nothing while its tasks run on, and end.
    """
    if consumer.connection is None:
        return
    close = consumer.connection.close

    def closed() -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - it is lost in any case, and a new one follows
            log.warning("The lost connection to the broker could not be closed properly: %r", error)

    consumer.connection.close = closed
