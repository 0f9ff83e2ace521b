"""An application that chooses its queues itself."""

import os

from celery import Celery
from kombu.entity import Queue

app = Celery("own_queues", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_RESULT_BACKEND"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_default_queue="orders",
    task_queues=[Queue(name) for name in ("orders", "mail", "reports")],  # type: ignore[no-untyped-call]
)


@app.task
def work() -> None:
    """Do nothing."""
