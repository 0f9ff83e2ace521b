"""Slot of a pool child: the child's side, which writes; see `slot_file`."""

from __future__ import annotations

import contextlib
import json
import os
from json.encoder import encode_basestring_ascii as quote
from time import time

from signalbox_agent.child.slot_file import left_path, place_at, traceback_at, traceback_of
from signalbox_agent.child.slot_state import RUNNING, label

#: Bytes of a name and of an error, as they are quoted.
NAME_LIMIT, ERROR_LIMIT = 600, 1500


class Slot:
    """The child's side; the file is made with the first task."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handle: int | None = None
        self._number = 0
        self._began = 0.0
        self._run = self._label = ""

    def begin(self, task_id: str, retries: int = 0, celery_name: str = "", *, acks_late: bool = False) -> None:
        """A task begins; it takes the place of the oldest one."""
        self._number += 1
        self._began = time()
        late = "true" if acks_late else "false"
        self._label = label(task_id)
        self._run = f"{retries},{late},{quote(self._label)},{_short(celery_name, NAME_LIMIT)}"
        self.write(RUNNING)

    def write(self, word: str, error: str = "", traceback: str = "", *, ended: bool = False) -> None:
        """Write how far the present task is; a full disk must not disturb it."""
        if not self._folder:
            return
        end = time() if ended else 0
        text = _short(error, ERROR_LIMIT) if error else '""'
        line = f'[{self._number},"{word}",{self._began:.6f},{end:.6f},{self._run},{text}]\n'
        with contextlib.suppress(OSError):
            if self._handle is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._handle = os.open(os.path.join(self._folder, str(os.getpid())), flags, 0o600)
            if traceback:
                os.pwrite(self._handle, traceback_of(self._number, traceback), traceback_at(self._number))
            os.pwrite(self._handle, line.encode(), place_at(self._number))

    def note_left(self, count: int) -> None:
        """Note beside the slot how many processes the present task has left running."""
        if self._folder:
            with contextlib.suppress(OSError), open(left_path(self._folder, os.getpid()), "wb") as file:
                file.write(json.dumps([self._label, count]).encode())


def _short(text: str, limit: int) -> str:
    """The text in quotes, in at most so many bytes."""
    quoted = quote(text)
    return quoted if len(quoted) <= limit else quote(text[: limit // 12 - 1] + "…")
