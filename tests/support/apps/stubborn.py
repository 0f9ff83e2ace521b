"""Tasks that are hard to stop, and write down what becomes of them: a file for each task, a line for each step."""

import ctypes
import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from celery import Celery, current_task

DIARY = Path(os.environ["STUBBORN_DIARY"])

app = Celery("stubborn", broker=os.environ["STUBBORN_BROKER"], backend=os.environ["STUBBORN_RESULTS"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"socket_timeout": 10.0},
    worker_prefetch_multiplier=1,
)


def note(step: str, pid: int | None = None) -> None:
    """Write down a step, and the process that it is about."""
    with (DIARY / current_task.request.id).open("a", encoding="ascii") as diary:
        diary.write(f"{step} {pid or os.getpid()}\n")


@app.task
def plain(seconds: float) -> None:
    note("started")
    time.sleep(seconds)
    note("completed")


@app.task
def blocks(seconds: float) -> None:
    """Hold a slot until there is a file for the queue that it came from, `seconds` at most."""
    note("started")
    free, end = DIARY / f"{current_task.request.delivery_info['routing_key']}.free", time.monotonic() + seconds
    while not free.exists() and time.monotonic() < end:
        time.sleep(0.02)
    note("completed")


@app.task
def tidies(seconds: float) -> None:
    """Take long in its `finally`."""
    note("started")
    try:
        time.sleep(seconds)
    finally:
        time.sleep(0.7)
        note("tidied")
    note("completed")


@app.task
def clings(seconds: float) -> None:
    """Swallow whatever is raised in it, until there is a file for it, `seconds` at most."""
    note("started")
    free, end = DIARY / f"{current_task.request.id}.free", time.monotonic() + seconds
    while not free.exists() and time.monotonic() < end:
        try:
            time.sleep(0.02)
        except BaseException:  # noqa: BLE001, S112 - the point of it
            continue
    note("completed")


@app.task
def ignores(seconds: float) -> None:
    """Ignore TERM."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("started")
    time.sleep(seconds)
    signal.signal(signal.SIGTERM, before)
    note("completed")


@app.task
def calls(seconds: float) -> None:
    """Spend all of the time in one call of C code."""
    note("started")
    sample = 100_000
    begin = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", b"stubborn", b"salt", sample)
    rounds = int(sample * seconds / (time.perf_counter() - begin))
    hashlib.pbkdf2_hmac("sha256", b"stubborn", b"salt", max(1, rounds))
    note("completed")


@app.task
def holds(seconds: float) -> None:
    """Block in a C call that lets no other thread of the process run meanwhile, as a careless extension does."""
    time.sleep(0.3)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # any would end the sleep
    note("started")
    ctypes.PyDLL(None).sleep(int(seconds))
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    note("completed")


@app.task
def launches(seconds: float, detached: bool = False) -> None:
    """Run a program, perhaps in a session of its own, and wait for it."""
    program = subprocess.Popen(["sleep", str(seconds)], start_new_session=detached)
    note("program", program.pid)
    note("started")
    program.wait()
    note("completed")


@app.task
def forsakes(seconds: float) -> None:
    """Run a program whose parent is gone at once: a daemon."""
    command = f"setsid sleep {seconds} >/dev/null 2>&1 & echo $!"
    said = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, text=True, check=True)
    note("program", int(said.stdout))
    note("started")
    time.sleep(seconds)
    note("completed")


@app.task
def freezes(seconds: float) -> None:
    """Stop its own process, as SIGSTOP from a debugger does."""
    note("started")
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(seconds)
    note("completed")


@app.task(bind=True)
def retries(self: Any, seconds: float) -> None:
    """Fail once, to be tried again after so many seconds."""
    note("started")
    if not self.request.retries:
        raise self.retry(countdown=seconds)
    note("completed")
