"""Tasks that write down that they ran: a test counts what must not have run by its own word."""

import os
import time
from pathlib import Path
from typing import Any

from celery import Celery, current_task

app = Celery("written_runs", broker=os.environ["RUNS_BROKER"], backend=os.environ["RUNS_STORE"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 5.0},
)


def write_down(file: str) -> None:
    with Path(file).open("a", encoding="ascii") as marks:
        marks.write(f"{current_task.request.id}\n")


@app.task
def mark(*_results: object, file: str) -> None:
    """Run; what came before it in a chain or chord is of no interest."""
    write_down(file)


@app.task(bind=True, max_retries=1)
def again(self: Any, file: str, countdown: float) -> None:
    """Run, and ask to be run once more."""
    write_down(file)
    raise self.retry(exc=ConnectionError("away"), countdown=countdown)


@app.task
def until(file: str, gate: str) -> None:
    """Run until there is a file named `gate`."""
    write_down(file)
    while not Path(gate).exists():
        time.sleep(0.01)


@app.task(acks_late=True, reject_on_worker_lost=True)
def late(file: str) -> None:
    """One that Celery runs again when its process dies."""
    write_down(file)
    time.sleep(60.0)
