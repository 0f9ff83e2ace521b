"""What people want of each process, on disk: what was stopped stays stopped across restarts, with or without Redis."""

from pathlib import Path
from typing import Literal

from signalbox_controller.state import statefile

Wish = Literal["running", "stopped"]


class Desired:
    """The desired state of every process of the host; one that nobody spoke of is wanted running."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        self._path = path
        self._wishes = statefile.read(path, dict[str, Wish], {}, "which processes were stopped by a person")

    def of(self, name: str) -> Wish:
        """What is wanted of this process."""
        return self._wishes.get(name, "running")

    def want(self, names: list[str], wish: Wish) -> None:
        """Note a wish, and return when the disk has it."""
        wishes = self._wishes | dict.fromkeys(names, wish)
        if wishes != self._wishes:
            statefile.write(self._path, wishes, durable=True)
            self._wishes = wishes
