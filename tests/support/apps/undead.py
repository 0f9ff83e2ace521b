"""A process whose first thread has ended while another one works on (pthread_exit(3)): it looks like a zombie.

This is also a Celery application, whose task launches one.
"""

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

from celery import Celery

#: Prints its pid once the kernel shows it as a zombie.
CODE = """
import ctypes, os, threading
pid = os.getpid()
def work():
    while open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z":
        pass
    print(pid, flush=True)
    threading.Event().wait()
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""

app = Celery("undead", broker=os.environ.get("SHOP_BROKER_URL"), backend=os.environ.get("SHOP_RESULT_BACKEND"))
app.conf.broker_connection_retry_on_startup = True


def launch(*, detached: bool = False, environ: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Launch one; it is undead when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdout=subprocess.PIPE,
        start_new_session=detached,
        env={**os.environ, **(environ or {})},
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    return process


@app.task
def launches(path: str, detached: bool) -> None:
    """Launch one, write its pid to a file, and work on."""
    process = launch(detached=detached)
    Path(path).write_text(str(process.pid))
    threading.Event().wait()


def pid_in(path: Path) -> int:
    """The pid that the task wrote to its file; 0 when it has not yet."""
    return int((path.exists() and path.read_text()) or 0)


class Watched:
    """A process whose end the kernel tells: a pidfd becomes readable when the last thread has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    @property
    def dead(self) -> bool:
        """Whether its last thread has ended."""
        return bool(select.select([self._pidfd], [], [], 0.0)[0])

    def close(self) -> None:
        """End it, where it has not ended, and let go of the descriptor."""
        if not self.dead:
            os.kill(self.pid, 9)
        os.close(self._pidfd)
