"""A Celery application that sends tasks, and leaves no connection behind."""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery


@contextmanager
def celery_sender(broker: str, results: str, prefix: str = "") -> Iterator[Celery]:
    """An application with this broker and this Redis as its result backend, both by URL; `prefix` begins their keys."""
    app = Celery("sender", broker=broker, backend=results, set_as_current=False)
    if prefix:
        app.conf.broker_transport_options = app.conf.result_backend_transport_options = {"global_keyprefix": prefix}
    try:
        yield app
    finally:
        close_sender(app)


def close_sender(app: Celery) -> None:
    """Close all connections of an application that sent tasks; `Celery.close` leaves those of the result backend."""
    listener = app.backend.result_consumer
    listener.stop()
    # An AsyncResult that is collected later unsubscribes, and would open a connection to say so.
    listener.subscribed_to.clear()
    app.backend.client.connection_pool.disconnect()
    app.close()
