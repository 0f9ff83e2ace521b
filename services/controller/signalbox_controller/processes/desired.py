"""The desired state of each process, on disk: what was stopped stays stopped across restarts, with or without Redis."""

from typing import Literal

from signalbox_controller.state.remembered import RememberedTable

Desired = Literal["running", "stopped"]


class DesiredStates(RememberedTable[Desired]):
    """The desired state of every process of the host; `running`, until a person stops it."""

    shape = dict[str, Desired]
    meaning = "which processes were stopped by a person"
    durable = True

    def of(self, name: str) -> Desired:
        """The desired state of one process."""
        return self.value.get(name, "running")

    def note_all(self, names: list[str], desired: Desired) -> None:
        """Note the desired state of these processes, and return when the disk has it."""
        self.set(self.value | dict.fromkeys(names, desired))
