"""A Celery application whose tasks write down themselves what becomes of them, so that a record can be held to it."""

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import time
from typing import Any

from celery import Celery, current_task
from celery.worker.control import control_command

#: One line for each step of a task: its id, its attempt, and a word.
DIARY = os.environ["DIARY"]

app = Celery("steps", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_RESULT_BACKEND"])
app.conf.update(
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_timeout": 5.0},
)


def note(word: str) -> None:
    """One line, in one step."""
    request = current_task.request
    handle = os.open(DIARY, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{request.id} {request.retries} {word}\n".encode())
    os.close(handle)


def told(word: str) -> None:
    """The same, and who waits for it hears it at once."""
    note(word)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(current_task.request.id.encode(), f"{DIARY}.socket")


def aim(seconds: float, end: str) -> str:
    """Work for so long; nothing but a return, or an error, follows the last word."""
    told("started")
    error = ValueError("of itself")
    line = f"{current_task.request.id} {current_task.request.retries} {end}\n".encode()
    diary = os.open(DIARY, os.O_WRONLY | os.O_APPEND)
    try:
        time.sleep(seconds)
        os.write(diary, line)
    except BaseException:
        note("interrupted")
        raise
    if end == "failed":
        raise error
    return end


@app.task(name="aimed")
def aimed(seconds: float, end: str) -> str:
    """Work for so long; `end` is "finished", or "failed" for one that raises of itself."""
    return aim(seconds, end)


@app.task(name="aimed_late", acks_late=True, reject_on_worker_lost=True)
def aimed_late(seconds: float, end: str) -> str:
    """The same, acknowledged late."""
    return aim(seconds, end)


@app.task(name="neighbour")
def neighbour() -> None:
    """An innocent."""
    note("started")
    time.sleep(0.002)
    note("finished")


@app.task(name="neighbour_late", acks_late=True)
def neighbour_late() -> None:
    """The same, acknowledged late."""
    neighbour.run()


@app.task(name="long", acks_late=True, reject_on_worker_lost=True)
def long(seconds: float = 60.0, how: str = "") -> None:
    """Work for long; `how` tells what makes it hard to end."""
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "launches":
        subprocess.Popen(["sleep", str(seconds)], start_new_session=True)
    if how == "daemon":  # two forks, and nobody left between it and us
        subprocess.run(["sh", "-c", f"sleep {seconds} &"], start_new_session=True, check=True)
    told("started")
    try:
        if how == "one call":
            hashlib.pbkdf2_hmac("sha256", b"", b"", 1_000_000_000)
        elif how == "swallows":
            _insist(seconds)
        else:
            time.sleep(seconds)
        note("finished")
    finally:
        if how == "slow":
            time.sleep(0.5)
            note("cleaned")


def _insist(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(SystemExit):
            time.sleep(left)


@control_command(args=[("seconds", float)])
def hang(_: Any, seconds: float) -> None:
    """Let the worker's own loop stand still, as code of a user's that runs in it may."""
    time.sleep(seconds)
