"""Cancelled ids that this host refuses, as its controller keeps them on disk: known before the controller is connected.

A worker may boot while its controller is being restarted, or has just been killed.
"""

from __future__ import annotations

import contextlib
import os
from time import time

#: The file beside the socket: on each line the second of the epoch at which an id is forgotten, and the id; the last
#: line of an id holds, and one that was released has a 0 there.
NAME = "cancelled"


def refused(socket: str) -> list[str]:
    """The ids; none where there is no such file."""
    found: dict[str, bool] = {}
    path = os.path.join(os.path.dirname(socket), NAME)
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        now = time()
        for line in file:
            until, _, task_id = line.rstrip("\n").partition(" ")
            if task_id and until.isdigit():  # the last line may be cut off
                found[task_id] = int(until) > now
    return [task_id for task_id, holds in found.items() if holds]
