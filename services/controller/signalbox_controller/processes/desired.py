"""The desired state of each process, on disk: what was stopped stays stopped across restarts, with or without Redis."""

from pathlib import Path
from typing import Literal

from signalbox_controller.state.remembered import Remembered

Wish = Literal["running", "stopped"]


class Desired:
    """The desired state of every process of the host; `running`, until a person says otherwise."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        meaning = "which processes were stopped by a person"
        self._wishes: Remembered[dict[str, Wish]] = Remembered(path, dict[str, Wish], {}, meaning, durable=True)

    def of(self, name: str) -> Wish:
        """The desired state of one process."""
        return self._wishes.value.get(name, "running")

    def want(self, names: list[str], wish: Wish) -> None:
        """Set the desired state of these processes, and return when the disk has it."""
        self._wishes.set(self._wishes.value | dict.fromkeys(names, wish))
