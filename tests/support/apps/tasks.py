"""Tasks that do what tests of the agent need done to them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery, current_task
from celery.exceptions import Ignore, Reject
from celery.worker.request import Request
from together import Ticket, Together  # type: ignore[import-not-found]

URL = os.environ["TASKS_URL"]

app = Celery("tasks", broker=URL, backend=os.environ.get("TASKS_STORE", URL))
app.conf.update(
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 5.0},
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=0.2,
    beat_schedule={"often": {"task": "tasks.empty", "schedule": 0.2}},
)


def there() -> None:
    """Tell the test that the task is where it is to be hit."""
    app.backend.set(f"there:{current_task.request.id}", "yes")


@app.task
def empty() -> None:
    """Do nothing."""


@app.task
def nap(seconds: float = 60.0) -> float:
    time.sleep(seconds)
    return seconds


@app.task
def boom() -> None:
    raise ValueError("boom")


@app.task
def ignored() -> None:
    raise Ignore


@app.task
def rejected() -> None:
    raise Reject("not for me", requeue=False)


@app.task(bind=True, acks_late=True)
def given_back(self: Any) -> str:
    """Give the task back to its queue the first time."""
    if self.request.delivery_info.get("redelivered"):
        return "second time"
    raise Reject("not now", requeue=True)


@app.task(bind=True, max_retries=1)
def retried(self: Any) -> str:
    if self.request.retries:
        return "second attempt"
    raise self.retry(exc=ConnectionError("away"), countdown=0)


@app.task(time_limit=1)
def limited() -> None:
    time.sleep(60)


@app.task
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(acks_late=True, reject_on_worker_lost=True)
def late(mark: str, seconds: float = 60.0) -> None:
    """One that Celery runs again when its process dies; each start leaves a line in the file `mark`."""
    with Path(mark).open("a") as file:
        file.write("started\n")
    there()
    time.sleep(seconds)


@app.task(acks_late=True, reject_on_worker_lost=True, retry_on_worker_lost=True)
def late_with_handler(mark: str) -> None:
    """The same, with a handler of its own for TERM: Celery takes its exit for a lost process."""
    with Path(mark).open("a") as file:
        file.write("started\n")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    there()
    time.sleep(60)


@app.task(time_limit=1)
def limited_and_stubborn() -> None:
    """Exceed the time limit while a cancel waits for the end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    there()
    time.sleep(60)


@app.task
def stubborn(seconds: float = 60.0) -> str:
    """Ignore TERM."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        there()
        time.sleep(seconds)
    finally:
        signal.signal(signal.SIGTERM, before)
    return "outlived"


@app.task
def swallows(seconds: float) -> str:
    """Catch what a TERM raises, go on for a while, and return."""
    try:
        there()
        time.sleep(60)
    except SystemExit:
        time.sleep(seconds)
    return "completed"


@app.task
def cleans_up(seconds: float) -> None:
    try:
        there()
        time.sleep(60)
    finally:
        time.sleep(seconds)


@app.task
def fails_on_term() -> None:
    """Turn the exit into an error, as careless code does."""
    try:
        there()
        time.sleep(60)
    except SystemExit:
        raise RuntimeError("interrupted") from None


@app.task(bind=True)
def retries_on_term(self: Any) -> str:
    if self.request.retries:
        return "came back"
    try:
        there()
        time.sleep(60)
    except SystemExit:
        raise self.retry(countdown=0.2) from None
    return "never asked"


@app.task
def launches(detached: bool = False, ignoring: bool = False) -> int:
    """Run a program and wait for it."""
    prologue = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" if ignoring else ""
    code = prologue + "import time; print('there', flush=True); time.sleep(60)"
    program = subprocess.Popen([sys.executable, "-c", code], start_new_session=detached, stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    there()
    return program.wait()


@app.task
def launches_at_the_end(mark: str) -> None:
    """Start a program after the TERM has come, and do not wait for it."""
    try:
        there()
        time.sleep(60)
    finally:
        program = subprocess.Popen(["sleep", "60"], start_new_session=True)
        Path(mark).write_text(str(program.pid))


@app.task
def environment() -> dict[str, str | None]:
    """What a program that the task launches can see of us."""
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    return {"text": subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout}


class Counting(Request):
    """A user's own Request, which must go on working."""

    def on_success(self, failed__retval__runtime: Any, **kwargs: Any) -> Any:
        return super().on_success(failed__retval__runtime, **kwargs)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        app.backend.set(f"accepted:{self.id}", "yes")


@app.task(Request="tasks:Counting")
def own_request() -> str:
    return "done"


@app.task
def clings(seconds: float = 60.0) -> str:
    """Catch whatever is thrown, and go on."""
    end = time.monotonic() + seconds
    there()
    while (left := end - time.monotonic()) > 0:
        try:
            time.sleep(left)
        except BaseException:  # noqa: BLE001, S112 - the point of it
            continue
    return "outlived"


@app.task
def busy(seconds: float) -> str:
    """Wait for nothing, ever."""
    there()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return "done"


@app.task
def returns_on_exit() -> str:
    """Take an exit for the end of its work."""
    try:
        there()
        time.sleep(60)
    except BaseException:  # noqa: BLE001 - the point of it
        return "completed"
    return "never asked"


@app.task
def exits() -> None:
    sys.exit(3)


@app.task(soft_time_limit=1)
def limited_softly() -> None:
    time.sleep(60)


@app.task
def fails_on_exit() -> None:
    """Turn whatever comes into an error, as careless code does."""
    try:
        there()
        time.sleep(60)
    except BaseException:  # noqa: BLE001 - the point of it
        raise RuntimeError("interrupted") from None


@app.task(bind=True)
def retries_on_exit(self: Any) -> str:
    if self.request.retries:
        return "came back"
    try:
        there()
        time.sleep(60)
    except BaseException:  # noqa: BLE001 - the point of it
        raise self.retry(countdown=0.2) from None
    return "never asked"


@app.task
def count(values: list[Any]) -> int:
    """The body of a chord."""
    return len(values)


@app.task(bind=True)
def tries_later(self: Any) -> str:
    """Fail, to be tried again in ten minutes."""
    raise self.retry(countdown=600)


@app.task(base=Together)
def together(tickets: list[Ticket]) -> None:
    """Run two tasks as one, for as long as the first asks for."""
    seconds = float(tickets[0].arguments.strip("(,)"))
    for ticket in tickets:
        app.backend.set(f"there:{ticket.id}", str(os.getpid()))
    if seconds < 0:
        raise ValueError("boom")
    time.sleep(seconds)
