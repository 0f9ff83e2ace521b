"""Reconnect to a lost broker: Celery closes the lost connection twice, and the second close may end the worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger

log = get_logger(__name__)

Lost = Callable[[BaseException], None]


def surviving(consumer: Any, original: Lost) -> Lost:
    """`Consumer.on_connection_error_after_connected`, in a form that goes on when the close fails.

    With Redis and messages that are not acknowledged yet, Celery 5.7 first fails to give these back, and then, in a
    second close, raises AttributeError: the worker would shut down, take nothing while its tasks run on, and end.
    """

    def lost(exc: BaseException) -> None:
        if consumer.connection is not None:
            consumer.connection.close = _tolerant(consumer.connection.close)
        original(exc)

    return lost


def _tolerant(close: Callable[[], None]) -> Callable[[], None]:
    def closed() -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - it is lost in any case, and a new one follows
            log.warning("The lost connection to the broker could not be closed properly: %r", error)

    return closed
