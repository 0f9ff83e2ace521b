"""Spool of a worker's events on disk, while there is no controller to take them.

The file lies beside the controller's socket and holds the same lines as a connection would: who we are, the events
that nobody has acknowledged, what runs, and every event from then on. It is written only while no controller is
connected, and needs no fsync: what makes the disk forget it ends the machine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: Bytes; beyond, nothing is added: some hundred thousand events.
LIMIT = 64_000_000
#: The name on disk is older than the word: workers that outlive an upgrade use it, too.
SUFFIX = ".diary"


@dataclass(eq=False)
class Spool:
    """One file, which exists only while no controller is connected."""

    path: str
    #: Answers the lines that make a reader know all that was true when the spool was opened.
    beginning: Callable[[], Iterable[bytes]]
    _handle: int | None = None
    _size: int = 0

    def open(self) -> None:
        """Begin the file, unless it is open already."""
        if self._handle is not None:
            return
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._handle = os.open(self.path, flags, 0o600)
            self._size = 0
            for line in self.beginning():
                self.note(line)

    def note(self, line: bytes) -> None:
        """Add a line, while it is open; a full disk must not disturb a task."""
        if self._handle is None or self._size > LIMIT:
            return
        with contextlib.suppress(OSError):
            self._size += os.write(self._handle, line)

    def close(self) -> None:
        """Remove the file: a controller is connected, and gets all of it."""
        if self._handle is None:
            return
        with contextlib.suppress(OSError):
            os.close(self._handle)
        self._handle = None
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def path_of(controller: str, instance: str) -> str:
    """The path of this launch's spool; `controller` is the path of the socket."""
    return os.path.join(os.path.dirname(controller), f"{instance}{SUFFIX}")
