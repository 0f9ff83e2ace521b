"""What the pool children of a worker say of themselves in files; `signalbox_agent.child.slot` is the other side.

There is a way back, too: a mark beside a child's slot tells the worker, should it come to itself, that this child is
being ended from outside, and for which cancel.
"""

import contextlib
import logging
import shutil
from pathlib import Path

import msgspec

from signalbox_agent.child import slot
from signalbox_agent.child.slot import Said

log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """Why a child dies from outside."""

    command_id: str
    task_id: str
    run: str
    #: The strongest signal so far.
    signal: str


class Slots:
    """Those of one launch of a worker."""

    def __init__(self, socket: Path, instance: str) -> None:
        """`socket` is the one that its agent connects to."""
        self._folder = Path(slot.folder_of(str(socket), instance))

    def read(self, pid: int) -> Said | None:
        """What the child with this pid said last; None when it never did."""
        return slot.read(str(self._folder / str(pid)))

    def mark(self, pid: int, mark: Mark) -> bool:
        """Let the worker know; answers whether that could be written."""
        path = self._of_mark(pid)
        try:
            path.with_suffix(".new").write_bytes(msgspec.json.encode(mark))
            path.with_suffix(".new").replace(path)
        except OSError as error:
            log.error("%s cannot be written: %s", path, error)  # noqa: TRY400 - the text says it all
            return False
        return True

    def unmark(self, pid: int) -> None:
        """It is not being ended any more."""
        with contextlib.suppress(OSError):
            self._of_mark(pid).unlink(missing_ok=True)

    def _of_mark(self, pid: int) -> Path:
        return self._folder / f"{pid}.cancel"

    def forget(self) -> None:
        """The launch is dead, with all its children."""
        shutil.rmtree(self._folder, ignore_errors=True)
