"""A guestbook on Flask, made by a factory."""

import os
from datetime import UTC, datetime, timedelta

from flask import Flask

from .celery import celery_init_app

SCHEDULE = {
    # Once a day. The first time is when beat starts, for its latest run is taken to be long ago.
    "daily report": {
        "task": "guestbook.tasks.daily_report",
        "schedule": timedelta(days=1),
        "last_run_at": datetime(2026, 1, 1, tzinfo=UTC),
    },
}


def create_app() -> Flask:
    """The application of Flask, with that of Celery as its extension.

    Environment:
        GUESTBOOK_BROKER_URL: the address of the broker, which keeps the results, too.
    """
    app = Flask(__name__)
    broker = os.environ.get("GUESTBOOK_BROKER_URL", "redis://127.0.0.1:6379/0")
    app.config["GREETING"] = "Thank you"
    app.config["CELERY"] = {
        "broker_url": broker,
        "result_backend": broker,
        "broker_connection_retry_on_startup": True,
        "include": ["guestbook.tasks"],
        "beat_schedule": SCHEDULE,
    }
    celery_init_app(app)
    return app
