"""The fencing tokens that a controller remembers across its restarts, and the id by which it holds leases."""

import uuid
from pathlib import Path

import msgspec

from signalbox_controller.state.remembered import Remembered


class _Notes(msgspec.Struct):
    owner: str
    fences: dict[str, int] = {}


class FencingTokens(Remembered[_Notes]):
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
        """The greatest fence of this application that is known; 0 when none is."""
        return self.value.fences.get(label, 0)

    def learn(self, label: str, fence: int) -> None:
        """Note a fence."""
        if fence > self.fence(label):
            self.value.fences[label] = fence
            self.save()
