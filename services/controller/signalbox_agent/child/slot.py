"""Slot of a pool child: a file with its present task, read by its worker, and by the controller in place of the worker.

It lies beside the controller's socket, in `<instance>.children/<pid>`, and holds one line: a word and a task id. The
child writes it as a task begins and ends (about 3 µs each time). A reader that has stopped the child
(SIGSTOP) learns which task a signal would hit.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

#: The body of the task runs, or is about to.
RUNNING = "running"
#: It has returned or raised by itself, and a TERM that came since waits for the end of its report.
OVER = "over"
#: A TERM has reached the body, which may be cleaning up.
INTERRUPTED = "interrupted"
#: The body is over, and a TERM, or something else that is no error of its own, has made it so.
UNWOUND = "unwound"
#: So much of a task id tells it from the one that the same child ran before.
SHORT = 200
#: Any other word is the state that Celery gave to a body that ended by itself: SUCCESS, FAILURE, RETRY, …


class SlotState(NamedTuple):
    """The content of a slot."""

    word: str
    task_id: str


class Slot:
    """The child's side; the file is made with the first task."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handle: int | None = None

    def write(self, word: str, task_id: str) -> None:
        """Write the state; a full disk must not disturb a task."""
        if not self._folder:
            return
        with contextlib.suppress(OSError):
            if self._handle is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._handle = os.open(os.path.join(self._folder, str(os.getpid())), flags, 0o600)
            os.pwrite(self._handle, f"{word} {task_id}\n".encode(errors="replace"), 0)

    def note_left(self, count: int, task_id: str) -> None:
        """Note beside the slot how many processes a task has left running."""
        if self._folder:
            with contextlib.suppress(OSError), open(_left(self._folder, os.getpid()), "wb") as file:
                file.write(json.dumps([task_id[:SHORT], count]).encode())


class Slots:
    """The worker's side: the slots of all its children."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder."""
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def read(self, pid: int) -> SlotState | None:
        """The slot of the child with this pid; None when it has none."""
        return read(os.path.join(self.folder, str(pid)))

    def ended_by_itself(self, pid: int | None, task_id: str) -> bool:
        """Whether the body of this task, the child's latest, ended before any TERM had reached it."""
        state = self.read(pid) if pid is not None else None
        return state is not None and state.task_id == task_id and state.word not in {RUNNING, INTERRUPTED, UNWOUND}

    def left_by(self, pid: int | None, task_id: str) -> int:
        """How many processes the latest task of this child has left running, if it is this one; asked once."""
        path = _left(self.folder, pid)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # mostly there is none, which costs 2 µs
        except OSError:
            return 0
        try:
            noted, count = json.loads(os.read(handle, 4096))
            os.unlink(path)
        except (OSError, ValueError):
            return 0
        finally:
            os.close(handle)
        return int(count) if noted == task_id[:SHORT] else 0

    def mark(self, pid: int | None, run: str) -> dict[str, Any] | None:
        """The cancel by which the controller has ended this child under this run, while its worker did not answer."""
        try:
            with open(os.path.join(self.folder, f"{pid}.cancel"), "rb") as file:
                mark: dict[str, Any] = json.loads(file.read())
        except (OSError, ValueError):
            return None
        return mark if mark["run"] == run else None

    def forget(self, pid: int) -> None:
        """Remove the slot of a dead child."""
        for path in (os.path.join(self.folder, str(pid)), _left(self.folder, pid)):
            with contextlib.suppress(OSError):
                os.unlink(path)


def read(path: str) -> SlotState | None:
    """The first line of a slot; what stands behind it is left over from a longer one."""
    try:
        with open(path, "rb") as file:
            line = file.readline(4096)
    except OSError:
        return None
    word, _, task_id = line.decode(errors="replace").rstrip("\n").partition(" ")
    return SlotState(word, task_id) if task_id else None


def _left(folder: str, pid: int | None) -> str:
    return os.path.join(folder, f"{pid}.left")


def folder_of(controller: str, instance: str) -> str:
    """The folder of the slots of this launch; `controller` is the path of the socket."""
    return os.path.join(os.path.dirname(controller), f"{instance}.children")
