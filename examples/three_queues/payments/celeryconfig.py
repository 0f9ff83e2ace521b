"""Settings of Celery: the queues, and which task goes where.

Environment:
    PAYMENTS_BROKER_URL: the address of the broker, which keeps the results, too.
"""

import os
from datetime import UTC, datetime, timedelta

from kombu import Queue  # type: ignore[attr-defined]

broker_url = result_backend = os.environ.get("PAYMENTS_BROKER_URL", "redis://127.0.0.1:6379/0")
imports = ["payments.tasks"]
broker_connection_retry_on_startup = True

task_default_queue = "payments"
task_queues = [Queue("payments"), Queue("payments.urgent"), Queue("payments.reports")]
task_routes = {
    "payments.tasks.refund": {"queue": "payments.urgent"},
    "payments.tasks.*_report": {"queue": "payments.reports"},
}

beat_schedule = {
    # Once a day. The first time is when beat starts, for its latest run is taken to be long ago.
    "daily report": {
        "task": "payments.tasks.daily_report",
        "schedule": timedelta(days=1),
        "last_run_at": datetime(2026, 1, 1, tzinfo=UTC),
    },
}
