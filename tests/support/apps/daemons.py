"""Tasks that start processes which hide: they leave the family, clear their environment, or execute nothing."""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

from celery import Celery

SECONDS = 600
#: Seconds for which a daemon flees that nobody could catch.
FLEES_FOR = 60
app = Celery("daemons", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_RESULT_BACKEND"])
app.conf.update(broker_connection_retry_on_startup=True, worker_prefetch_multiplier=1)

if "DAEMONS_START_METHOD" in os.environ:
    app.conf.worker_pool_start_method = os.environ["DAEMONS_START_METHOD"]

#: What a library keeps from one task to the next.
_helpers: list[subprocess.Popen[bytes]] = []


def _by_shell(file: Path) -> None:
    command = f"env -i setsid sleep {SECONDS} >/dev/null 2>&1 & echo $! > {file}.new; mv {file}.new {file}"
    subprocess.run(["sh", "-c", command], check=True)


def _fork_twice(file: Path, *, execute: bool) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 1024)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    new = Path(f"{file}.new")
    new.write_text(str(os.getpid()), encoding="ascii")
    new.replace(file)
    if execute:
        os.execve("/bin/sleep", ["sleep", str(SECONDS)], {})  # noqa: S606 - the point of it
    time.sleep(SECONDS)
    os._exit(0)


def _flee(file: Path) -> None:
    """Fork again and again, each process living for a moment; as long as one of them lives the file is locked."""
    if child := os.fork():
        os.waitpid(child, 0)
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lock = os.open(file, os.O_WRONLY | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, b"1")
    end = time.monotonic() + FLEES_FOR
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        time.sleep(0.0005)
    os._exit(0)


def _start(how: str, file: Path) -> None:
    if how == "shell":
        _by_shell(file)
    elif how == "flees":
        _flee(file)
    else:
        _fork_twice(file, execute=how == "cleared")


@app.task
def hides(how: str, file: str, seconds: float) -> None:
    """Start a daemon, which writes down its pid, and go on."""
    _start(how, Path(file))
    time.sleep(seconds)


@app.task
def leaves(how: str, file: str) -> None:
    """Start a daemon, and complete when it is there."""
    _start(how, Path(file))
    while not Path(file).exists():
        time.sleep(0.01)


@app.task
def dies(how: str, file: str) -> None:
    """Start a daemon, and be killed as soon as it is there."""
    leaves(how, file)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def helped(file: str, seconds: float) -> None:
    """Work with a helper process, which stays for the tasks to come."""
    if not _helpers:
        _helpers.append(subprocess.Popen(["sleep", str(SECONDS)]))
    Path(file).write_text(str(_helpers[0].pid), encoding="ascii")
    time.sleep(seconds)
