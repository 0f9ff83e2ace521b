"""Reconnect to a lost broker: Celery closes the lost connection twice, and the second close may end the worker."""

from __future__ import annotations

from typing import Any

from celery.utils.log import get_logger

from signalbox_agent.safety import guarded

log = get_logger(__name__)


@guarded
def tolerate_close(consumer: Any) -> None:
    """Have the consumer's connection close without an error, before it is taken for lost.

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
