"""A Celery application whose pool processes do not come up while a file is there."""

import os
import time
from pathlib import Path

from celery import Celery
from celery.signals import worker_process_init

app = Celery("slow_children", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_RESULT_BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True, broker_transport_options={"socket_timeout": 5.0})


@worker_process_init.connect
def initialize(**_: object) -> None:
    while Path(os.environ["HOLD"]).exists():
        time.sleep(0.02)


@app.task(name="empty")
def empty() -> None:
    """Do nothing."""
