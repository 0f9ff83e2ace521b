"""Known runs: the running tasks of each launch, on disk, so that a restarted controller knows them without the worker.

A worker that hangs, or that died together with the controller, reports nothing any more.
"""

from collections.abc import Mapping, Sequence

from signalbox_controller.agents.running import Run
from signalbox_controller.state.remembered import RememberedTable


class KnownRuns(RememberedTable[tuple[Run, ...]]):
    """Runs by instance. No fsync: when the machine dies the processes end, too."""

    shape = dict[str, tuple[Run, ...]]
    meaning = "which tasks were running"

    def update(self, running: Mapping[str, Sequence[Run]]) -> None:
        """Write what runs now, unless that is on disk already."""
        value = {instance: tuple(runs) for instance, runs in running.items() if runs}
        if value != self.value:
            self.set(value)

    def of(self, instance: str) -> tuple[Run, ...]:
        """The runs of one launch, as they were known last."""
        return self.value.get(instance, ())
