"""Tasks that write down when they begin and how they end, with the identity of the process: a load for faults."""

import os
import time
from typing import Any

from celery import Celery, Task, current_task

from signalbox_agent.proc import identify

DIARY = os.environ["DIARY_FILE"]

app = Celery("diary", broker=os.environ["DIARY_BROKER"], backend=os.environ["DIARY_STORE"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 5.0},
    worker_prefetch_multiplier=4,
    beat_schedule={"tick": {"task": "diary.quick", "schedule": 1.0, "kwargs": {"seconds": 0.01}}},
)


def line(word: str) -> bytes:
    """One line: the task's id, the process that runs it, a word, and the time."""
    own = identify(os.getpid())
    assert own is not None
    return f"{current_task.request.id} {own.pid} {own.started} {word} {time.time():.6f}\n".encode()


def work(seconds: float, end: str = "end") -> None:
    """Work for so long; nothing but a return, or an error, follows the last word."""
    diary = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(diary, line("begin"))
    try:
        time.sleep(seconds)
    except BaseException:
        os.write(diary, line("interrupted"))
        os.close(diary)
        raise
    last = line(end)
    os.write(diary, last)
    os.close(diary)


@app.task(name="diary.quick")
def quick(seconds: float) -> None:
    """Return after so long."""
    work(seconds)


@app.task(name="diary.late", acks_late=True, reject_on_worker_lost=True)
def late(seconds: float) -> None:
    """The same, acknowledged late: it runs again when its process dies."""
    work(seconds)


@app.task(name="diary.fails")
def fails(seconds: float) -> None:
    """Raise after so long."""
    work(seconds, "raised")
    raise ValueError("of itself")


@app.task(name="diary.again", bind=True, max_retries=1)
def again(self: Task, seconds: float) -> Any:
    """Ask for a retry, and return the second time."""
    if self.request.retries:
        return work(seconds)
    work(seconds, "retried")
    raise self.retry(exc=ConnectionError("away"), countdown=1.0)
