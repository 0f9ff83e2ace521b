"""What a controller must remember of leases across its own restarts: who it is, and the greatest fences it heard of."""

import uuid
from pathlib import Path

import msgspec

from signalbox_controller.state.remembered import Remembered


class _Notes(msgspec.Struct):
    owner: str
    fences: dict[str, int] = {}


class Fences(Remembered[_Notes]):
    """A small file; the host's name alone would not tell two controllers apart that were given the same one."""

    def __init__(self, path: Path) -> None:
        """Read the file, or make one up.

        Raises:
            StateUnreadable: it is damaged.
        """
        super().__init__(path, _Notes, _Notes(uuid.uuid4().hex), "which leases of beat this host held")
        self.save()

    @property
    def owner(self) -> str:
        """The id by which this controller holds leases."""
        return self.value.owner

    def fence(self, label: str) -> int:
        """The greatest fence of this application that was heard of; 0 when none was."""
        return self.value.fences.get(label, 0)

    def learn(self, label: str, fence: int) -> None:
        """Note a fence."""
        if fence > self.fence(label):
            self.value.fences[label] = fence
            self.save()
