"""An application for the schedulers of others: `-S django_celery_beat.schedulers:DatabaseScheduler`, RedBeat's.

`python schedulers.py NAME` adds an entry of django-celery-beat that is due now, and only once, in place of all others.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import django
from celery import Celery
from django.conf import settings

app = Celery("schedulers", broker=os.environ.get("SHOP_BROKER_URL", "memory://"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    beat_max_loop_interval=1,
    beat_schedule={"every second": {"task": "schedulers.tick", "schedule": 1.0}},
    redbeat_redis_url=app.conf.broker_url,
    redbeat_lock_timeout=1500,  # as it is without our interval
    result_expires=None,
    timezone="UTC",
)


def set_up(database: Path) -> None:
    """Have Django keep everything in this file, and make its tables if there are none."""
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database, "OPTIONS": {"timeout": 20}}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=["django.contrib.contenttypes", "django_celery_beat"],
        MIGRATION_MODULES={"contenttypes": None, "django_celery_beat": None},  # the tables as they are now, in one step
        SECRET_KEY="for tests only",
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


def add_once(name: str) -> None:
    """Add an entry that is due now, and only once, in place of all others."""
    from django_celery_beat.models import ClockedSchedule, PeriodicTask

    PeriodicTask.objects.all().delete()
    clocked = ClockedSchedule.objects.create(clocked_time=datetime.now(UTC))
    PeriodicTask.objects.create(name=name, task=f"schedulers.{name}", clocked=clocked, one_off=True)


if "BEAT_DATABASE" in os.environ:
    set_up(Path(os.environ["BEAT_DATABASE"]))
if __name__ == "__main__":
    add_once(sys.argv[1])
