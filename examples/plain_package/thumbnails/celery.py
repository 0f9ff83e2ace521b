"""The Celery application.

Environment:
    THUMBNAILS_BROKER_URL: the address of the broker, which keeps the results, too.
"""

import os
from datetime import UTC, datetime, timedelta

from celery import Celery

BROKER_URL = os.environ.get("THUMBNAILS_BROKER_URL", "redis://127.0.0.1:6379/0")

app = Celery("thumbnails", broker=BROKER_URL, backend=BROKER_URL, include=["thumbnails.tasks"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    beat_schedule={
        # Once a day. The first time is when beat starts, for its latest run is taken to be long ago.
        "tidy up": {
            "task": "thumbnails.tasks.tidy_up",
            "schedule": timedelta(days=1),
            "last_run_at": datetime(2026, 1, 1, tzinfo=UTC),
        },
    },
)
