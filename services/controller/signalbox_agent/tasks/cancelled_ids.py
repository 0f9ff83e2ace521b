"""Cancelled ids that this host refuses, as its controller keeps them on disk: known before the controller is connected.

A worker may boot while its controller is being restarted, or has just been killed.
"""

from __future__ import annotations

import contextlib
import os
from time import time

#: The file beside the socket: on each line the second of the epoch at which an id is forgotten, and the id.
NAME = "cancelled"


def refused(socket: str) -> list[str]:
    """The ids; none where there is no such file."""
    found: list[str] = []
    path = os.path.join(os.path.dirname(socket), NAME)
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        now = time()
        for line in file:
            until, _, task_id = line.rstrip("\n").partition(" ")
            if task_id and until.isdigit() and int(until) > now:  # the last line may be cut off
                found.append(task_id)
    return found
