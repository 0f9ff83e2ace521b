"""An application that, as soon as its worker is ready, takes away the agent's way to its controller for good."""

import contextlib
import os
import socket
from pathlib import Path

from celery import Celery, signals

app = Celery("mute", broker=os.environ["SHOP_BROKER_URL"], backend=os.environ["SHOP_RESULT_BACKEND"])
app.conf.broker_connection_retry_on_startup = True


@signals.worker_ready.connect
def cut(**_: object) -> None:
    """Called before the agent's own handler of this signal, which is connected later."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as peer:
            if peer.family == socket.AF_UNIX and str(peer.getpeername()).endswith("agents.sock"):
                Path(peer.getpeername()).unlink()
                peer.shutdown(socket.SHUT_RDWR)


@app.task
def pid() -> int:
    """Whose child runs it."""
    return os.getpid()
