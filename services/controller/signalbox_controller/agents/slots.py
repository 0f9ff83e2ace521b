"""The slots of a worker's pool children: a file each, see `signalbox_agent.child.slot_file`.

There is a way back, too: a mark beside a child's slot tells the worker, should it come to itself, that this child is
being ended from outside, and for which cancel.
"""

import contextlib
import functools
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.messages.events import AnyTaskEvent
from signalbox_agent.child import slot_file
from signalbox_agent.child.slot_state import SlotState, find
from signalbox_controller.agents import protocol
from signalbox_controller.agents.running import Run
from signalbox_controller.linux.accounts import acting_as_owner_of

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Mark(msgspec.Struct, frozen=True):
    """The cancel by which a child is ended from outside."""

    command_id: str
    task_id: str
    run: str
    #: The strongest signal so far.
    signal: str


def _with_rights_of_the_owner(
    method: Callable[Concatenate["Slots", P], T],
) -> Callable[Concatenate["Slots", P], T]:
    """Do it with no more rights than the user has whose worker keeps the slots."""

    @functools.wraps(method)
    def call(slots: "Slots", /, *args: P.args, **kwargs: P.kwargs) -> T:
        with acting_as_owner_of(slots.beside):
            return method(slots, *args, **kwargs)

    return call


class Slots:
    """The slots of one launch of a worker."""

    def __init__(self, socket: Path, instance: str) -> None:
        """`socket` is the one that its agent connects to."""
        self._folder = Path(slot_file.folder_of(str(socket), instance))
        #: The folder of the socket, which belongs to the user that the worker runs as.
        self.beside = socket.parent

    @_with_rights_of_the_owner
    def read(self, pid: int) -> SlotState | None:
        """The latest run of the child with this pid; None when there is none."""
        return slot_file.read(str(self._folder / str(pid)))

    @_with_rights_of_the_owner
    def of_run(self, run: Run) -> SlotState | None:
        """How far a run has come; None when its child has not written it, or others in its place since."""
        if run.started_at is None:
            return None
        states = slot_file.read_all(str(self._folder / str(run.pid)))
        return find(states, run.task_id, run.retries, run.started_at.timestamp())

    @_with_rights_of_the_owner
    def went_on(self, run: Run) -> bool:
        """Whether its child has begun others since, and shows only those: the run is over, and how is not known."""
        states = slot_file.read_all(str(self._folder / str(run.pid)))
        since = run.started_at.timestamp() if run.started_at else 0.0
        return bool(states) and all(state.began > since for state in states) and self.of_run(run) is None

    @_with_rights_of_the_owner
    def all(self) -> dict[int, list[SlotState]]:
        """The runs of each child, by its pid."""
        return slot_file.read_folder(str(self._folder))

    @_with_rights_of_the_owner
    def starts(self) -> list[AnyTaskEvent]:
        """The latest starts of each child, as its worker wrote them, in the order in which they came."""
        found: list[AnyTaskEvent] = []
        for line in slot_file.read_starts(str(self._folder)):
            try:
                found.append(protocol.decode_event(msgspec.Raw(line)))
            except UnreadableMessage as error:
                log.warning("%s: a start is unreadable, as its writer died over it: %s", self._folder, error)
        return sorted(found, key=lambda event: event.at)

    @_with_rights_of_the_owner
    def mark(self, pid: int, mark: Mark) -> bool:
        """Write a mark for the worker to read; answer whether that could be written."""
        path = self._of_mark(pid)
        try:
            path.with_suffix(".new").write_bytes(msgspec.json.encode(mark))
            path.with_suffix(".new").replace(path)
        except OSError as error:
            log.error("%s cannot be written: %s", path, error)  # noqa: TRY400 - the text says it all
            return False
        return True

    @_with_rights_of_the_owner
    def unmark(self, pid: int) -> None:
        """Remove the mark: the child is not being ended any more."""
        with contextlib.suppress(OSError):
            self._of_mark(pid).unlink(missing_ok=True)

    def _of_mark(self, pid: int) -> Path:
        return self._folder / f"{pid}.cancel"

    @_with_rights_of_the_owner
    def forget(self) -> None:
        """Remove the slots of a launch that is dead, with all its children."""
        shutil.rmtree(self._folder, ignore_errors=True)
