"""An application that only has a schedule: one task every second, kept as Celery keeps it by default.

USR1 makes its scheduler hang, while all other threads go on; USR2 ends that.
"""

import os
import signal
import threading
import time

from celery import Celery

app = Celery("ticker", broker=os.environ["SHOP_BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_connect_timeout": 1.0, "socket_timeout": 3.0},
    beat_max_loop_interval=5,
    beat_schedule={"every second": {"task": "ticker.tick", "schedule": 1.0}},
    timezone="UTC",
)

resumed = threading.Event()


def hang(*_: object) -> None:
    """Hold up the main thread, as a query does that its database never answers."""
    resumed.clear()
    while not resumed.is_set():
        time.sleep(0.05)


signal.signal(signal.SIGUSR1, hang)
signal.signal(signal.SIGUSR2, lambda *_: resumed.set())
