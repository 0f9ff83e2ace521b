"""Events of tasks that a service of another kind would publish, made without running anything."""

from datetime import datetime, timedelta
from typing import TypedDict
from uuid import uuid4

from signalbox.messages.base import utc_now
from signalbox.messages.events import TaskReceived, TaskStarted, TaskSucceeded


class _Heading(TypedDict):
    task_id: str
    host: str
    celery_name: str
    name: str
    worker: str
    queue: str


class _Arguments(TypedDict):
    args: str
    kwargs: str


def a_task(number: int) -> tuple[TaskReceived, TaskStarted, TaskSucceeded]:
    """The events of a task that is received, starts and succeeds; `number` spreads their times and pids."""
    at, pid = utc_now() + timedelta(milliseconds=number), 1000 + number % 64
    heading = _Heading(
        task_id=str(uuid4()),
        host="web-07",
        celery_name="shop.orders.charge",
        name="charge",
        worker="worker@web-07",
        queue="orders",
    )
    arguments = _Arguments(args="('order-4711',)", kwargs="{'currency': 'EUR'}")
    run = f"0000.{round(at.timestamp() * 1000):013d}.abcdef12.{pid}"
    return (
        TaskReceived(at=at, run="0000", **heading, **arguments),
        TaskStarted(at=at + timedelta(milliseconds=1), run=run, pid=pid, **heading, **arguments),
        TaskSucceeded(at=at + timedelta(milliseconds=9), run=run, pid=pid, runtime=0.008, **heading),
    )


def a_finished_task(task_id: str, number: int, at: datetime) -> tuple[TaskStarted, TaskSucceeded]:
    """The events of a task that starts and succeeds; `number` spreads its name and its host."""
    name = f"task_{number % 31}"
    heading = _Heading(
        task_id=task_id,
        host=f"host-{number % 97}",
        celery_name=f"shop.orders.{name}",
        name=name,
        worker="worker@web-07",
        queue="orders",
    )
    run = f"0000.{round(at.timestamp() * 1000):013d}.abcdef12.7"
    started = TaskStarted(at=at, run=run, pid=7, **heading, args=f"('order-{number}',)", kwargs="{}")
    return started, TaskSucceeded(at=at + timedelta(seconds=1), run=run, pid=7, runtime=1.0, **heading)
