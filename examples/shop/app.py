"""The Celery application and its settings.

Environment:
    SHOP_BROKER_URL: the address of the broker; ``redis://127.0.0.1:6379/0`` when unset.
    SHOP_RESULT_BACKEND: the address of the result backend; the broker's when unset.
    SHOP_KEY_PREFIX: how all keys and queues in Redis begin, for a Redis that others use as well; nothing when unset.
"""

import os

from celery import Celery

from shop.schedule import SCHEDULE

BROKER_URL = os.environ.get("SHOP_BROKER_URL") or "redis://127.0.0.1:6379/0"
RESULT_BACKEND = os.environ.get("SHOP_RESULT_BACKEND") or BROKER_URL
KEY_PREFIX = os.environ.get("SHOP_KEY_PREFIX", "")

app = Celery(
    "shop",
    broker=BROKER_URL,
    backend=RESULT_BACKEND,
    include=["shop.orders", "shop.reports", "shop.stubborn"],
)

app.conf.update(
    # Wait without limit for a broker that is unavailable, at the start as well.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # Seconds. Without them a publish to a Redis that stopped answering hangs for ever.
    broker_transport_options={
        "global_keyprefix": KEY_PREFIX,
        "socket_connect_timeout": 3.0,
        "socket_timeout": 10.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
        # Longer than the longest task and countdown, or Redis redelivers them.
        "visibility_timeout": 3600,
    },
    result_backend_transport_options={"global_keyprefix": KEY_PREFIX},
    redis_socket_connect_timeout=3.0,
    redis_socket_timeout=10.0,
    redis_backend_health_check_interval=15,
    # A publish that fails is tried three times within a second, then the caller gets the error.
    task_publish_retry_policy={
        "max_retries": 3,
        "interval_start": 0.0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
    # Long and short tasks share a queue: a busy child must not hold waiting ones.
    worker_prefetch_multiplier=1,
    # Seconds. Nobody reads a result of the shop after an hour.
    result_expires=3600,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    timezone="UTC",
    beat_schedule=SCHEDULE,
    # All intervals are short, so nothing is lost by keeping them in memory; the default scheduler
    # would leave a file in the folder that beat happens to be started from.
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=5,
)
