"""Report of an agent that could not be installed, to the controller; it needs nothing of Celery."""

from __future__ import annotations

import json
import os
import socket
import threading
from time import sleep

from signalbox_agent import PROTOCOL

#: Seconds between attempts to connect.
RETRY = 5.0


def report(path: str, instance: str, kind: str, error: BaseException, *, node: str = "", guest: bool = False) -> None:
    """Report the error now, and to every later controller; `path` is the controller's socket."""
    hello = {
        "type": "hello",
        "protocol": PROTOCOL,
        "instance": instance,
        "pid": os.getpid(),
        "kind": kind,
        "node": node,
        "guest": guest,
        "error": f"{type(error).__name__}: {error}",
    }
    line = json.dumps(hello).encode() + b"\n"
    threading.Thread(target=_repeat, args=(path, line, os.getpid()), name="signalbox-agent", daemon=True).start()


def _repeat(path: str, line: bytes, pid: int) -> None:
    while os.getpid() == pid:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                connection.sendall(line)
                while connection.recv(4096):  # until the controller goes
                    pass
        except OSError:  # no controller is there
            pass
        sleep(RETRY)
