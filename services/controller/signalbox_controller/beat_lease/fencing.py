"""What a controller must remember of leases across its own restarts: who it is, and the greatest fences it heard of."""

import logging
import uuid
from pathlib import Path

import msgspec

from signalbox_controller.state import statefile

log = logging.getLogger(__name__)


class _Notes(msgspec.Struct):
    owner: str
    fences: dict[str, int] = {}


class Fences:
    """A small file; the host's name alone would not tell two controllers apart that were given the same one."""

    def __init__(self, path: Path) -> None:
        """Read the file, or make one up.

        Raises:
            StateUnreadable: it is damaged.
        """
        self._path = path
        self._notes = statefile.read(path, _Notes, _Notes(uuid.uuid4().hex), "which leases of beat this host held")
        self._save()

    @property
    def owner(self) -> str:
        """The id by which this controller holds leases."""
        return self._notes.owner

    def fence(self, label: str) -> int:
        """The greatest fence of this application that was heard of; 0 when none was."""
        return self._notes.fences.get(label, 0)

    def learn(self, label: str, fence: int) -> None:
        """Note a fence."""
        if fence > self.fence(label):
            self._notes.fences[label] = fence
            self._save()

    def _save(self) -> None:
        try:
            statefile.write(self._path, self._notes, durable=False)
        except OSError as error:
            log.error("%s cannot be written: %s", self._path, error)  # noqa: TRY400 - the text says it all
