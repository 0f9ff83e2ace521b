"""The projects that are walked with, and how each of them is used by those who wrote it."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from support.install_page import ROOT

#: How often beat has sent an entry, as Celery's own scheduler has saved it; the file and the entry are arguments.
SHELVE = """
import shelve, sys
with shelve.open(sys.argv[1], "r") as schedule:
    print(schedule["entries"][sys.argv[2]].total_run_count)
"""
#: The same as django-celery-beat has it; the file is not used.
DJANGO = """
import sys, bookstore, django
django.setup()
from django_celery_beat.models import PeriodicTask
print(PeriodicTask.objects.get(name=sys.argv[2]).total_run_count)
"""
#: How a task is sent by hand: Celery's own command, which does not set Django up before it needs the result backend.
CALL = "-m celery -A {app} call {task} --args='{arguments}'"
DJANGO_CALL = (
    "manage.py shell -c 'from celery import current_app; print(current_app.send_task(\"{task}\", {arguments}).id)'"
)


class Shape(msgspec.Struct, frozen=True):
    """A project as many are laid out."""

    #: Its folder in `examples/`, and how it is called here.
    name: str
    #: What is given to `celery -A`.
    app: str
    #: The variable that has the address of its broker.
    broker: str
    #: A short task and its arguments for each queue that the project has.
    short: Mapping[str, tuple[str, str]]
    #: A task that takes as many seconds as its argument says.
    long: str
    #: The entry of its schedule that is due when beat starts, and the task that it sends.
    entry: str
    scheduled: str
    #: What its authors have to run before it works, given to its interpreter.
    preparation: tuple[str, ...] = ()
    call: str = CALL
    count: str = SHELVE

    @property
    def folder(self) -> Path:
        return ROOT / "examples" / self.name


SHAPES = (
    Shape(
        name="with_django",
        app="bookstore",
        broker="BOOKSTORE_BROKER_URL",
        short={"celery": ("orders.tasks.confirm", "[17]")},
        long="orders.tasks.export_catalogue",
        entry="daily report",
        scheduled="orders.tasks.daily_report",
        preparation=("manage.py migrate --verbosity 0", "manage.py loaddata schedule"),
        call=DJANGO_CALL,
        count=DJANGO,
    ),
    Shape(
        name="with_flask",
        app="make_celery",
        broker="GUESTBOOK_BROKER_URL",
        short={"celery": ("guestbook.tasks.thank", '["Ada"]')},
        long="guestbook.tasks.send_newsletter",
        entry="daily report",
        scheduled="guestbook.tasks.daily_report",
    ),
    Shape(
        name="plain_package",
        app="thumbnails",
        broker="THUMBNAILS_BROKER_URL",
        short={"celery": ("thumbnails.tasks.shrink", "[640, 480]")},
        long="thumbnails.tasks.shrink_album",
        entry="tidy up",
        scheduled="thumbnails.tasks.tidy_up",
    ),
    Shape(
        name="three_queues",
        app="payments",
        broker="PAYMENTS_BROKER_URL",
        short={
            "payments": ("payments.tasks.charge", "[5]"),
            "payments.urgent": ("payments.tasks.refund", "[5]"),
            "payments.reports": ("payments.tasks.yearly_report", "[0]"),
        },
        long="payments.tasks.yearly_report",
        entry="daily report",
        scheduled="payments.tasks.daily_report",
    ),
)
