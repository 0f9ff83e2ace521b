"""The desired state of each process, on disk: what was stopped stays stopped across restarts, with or without Redis."""

from pathlib import Path
from typing import Literal

from signalbox_controller.state.remembered import Remembered

Desired = Literal["running", "stopped"]


class DesiredStates:
    """The desired state of every process of the host; `running`, until a person says otherwise."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        meaning = "which processes were stopped by a person"
        self._states: Remembered[dict[str, Desired]] = Remembered(path, dict[str, Desired], {}, meaning, durable=True)

    def of(self, name: str) -> Desired:
        """The desired state of one process."""
        return self._states.value.get(name, "running")

    def set(self, names: list[str], desired: Desired) -> None:
        """Set the desired state of these processes, and return when the disk has it."""
        self._states.set(self._states.value | dict.fromkeys(names, desired))
