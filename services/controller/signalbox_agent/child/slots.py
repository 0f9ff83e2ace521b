"""Slots of a worker: what it reads of all its children's, and writes beside them; see `slot_file`."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from signalbox_agent.child.slot_file import START, STARTS, left_path, read, read_all, read_folder, starts_path
from signalbox_agent.child.slot_state import INTERRUPTED, RUNNING, UNWOUND, SlotState, label


class Slots:
    """The worker's side: the slots of all its children."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        #: Of each child: the handle of its starts, and how many there were.
        self._starts: dict[int, tuple[int, int]] = {}

    def open(self) -> None:
        """Make the folder."""
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def read(self, pid: int) -> SlotState | None:
        """The latest run of the child with this pid; None when it has none."""
        return read(os.path.join(self.folder, str(pid)))

    def of_child(self, pid: int) -> list[SlotState]:
        """The runs of the child with this pid, the latest last."""
        return read_all(os.path.join(self.folder, str(pid)))

    def all(self) -> dict[int, list[SlotState]]:
        """The runs of each child, by its pid."""
        return read_folder(self.folder)

    def went_on(self, pid: int, since: float) -> bool:
        """Whether the child with this pid, which runs one after the other, has begun any since then."""
        return any(state.began > since for state in self.of_child(pid))

    def ended_by_itself(self, pid: int | None, task_id: str) -> bool:
        """Whether the body of this task, the child's latest, ended before any TERM had reached it."""
        state = self.read(pid) if pid is not None else None
        return (
            state is not None and state.task_id == label(task_id) and state.word not in {RUNNING, INTERRUPTED, UNWOUND}
        )

    def has_left(self, pid: int | None) -> bool:
        """Whether a task of this child has left processes running; an open that fails costs three times as much."""
        return os.access(left_path(self.folder, pid), os.F_OK)

    def left_by(self, pid: int | None, task_id: str) -> int:
        """How many processes the latest task of this child has left running, if it is this one; asked once."""
        if not self.has_left(pid):
            return 0
        path = left_path(self.folder, pid)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            noted, count = json.loads(os.read(handle, 4096))
            os.unlink(path)
        except (OSError, ValueError):
            return 0
        finally:
            os.close(handle)
        return int(count) if noted == label(task_id) else 0

    def note_start(self, pid: int, event: str) -> None:
        """Write the event of a start beside the slot, for whoever finds neither this worker nor its controller alive.

        The present run and the one before have a place each.
        """
        line = event.encode() + b"\n"
        if len(line) > START:
            return
        with contextlib.suppress(OSError):
            if pid not in self._starts:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._starts[pid] = os.open(starts_path(self.folder, pid), flags, 0o600), 0
            handle, count = self._starts[pid]
            self._starts[pid] = handle, count + 1
            os.pwrite(handle, line, count % STARTS * START)

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
        handle, _ = self._starts.pop(pid, (None, 0))
        if handle is not None:
            os.close(handle)
        for path in (os.path.join(self.folder, str(pid)), left_path(self.folder, pid), starts_path(self.folder, pid)):
            with contextlib.suppress(OSError):
                os.unlink(path)
