"""What was launched and not yet seen to end, on disk, so that a restarted controller starts nothing twice.

The instance is noted *before* the launch: a controller that is killed between the two finds the process by
its environment. The notes need no fsync: whatever makes the disk forget them ends the processes, too.
"""

from pathlib import Path

import msgspec

from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.state.remembered import RememberedTable


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One launch of a process; `proc` is missing between its note and the launch."""

    instance: str
    #: The boot of the machine in which it was launched.
    boot: str
    proc: Proc | None = None
    #: Whether it ended while no controller was here.
    gone: bool = False


class Instances(RememberedTable[Launch]):
    """The launches that are, as far as we know, still alive; by the name of the process."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        super().__init__(path, dict[str, Launch], "which processes were left running")

    def left(self) -> dict[str, Launch]:
        """The launches that a former controller left, whether they run on or are gone; of the latter, be told more."""
        boot = procfs.boot_id()
        found = {name: _found(launch, boot) for name, launch in self.value.items()}
        self.set({name: launch for name, launch in found.items() if launch is not None})
        return dict(self.value)


def _found(launch: Launch, boot: str) -> Launch | None:
    """What became of a launch; None when it never came about."""
    if launch.boot != boot:  # its pid says nothing any more: start times begin anew with each boot
        return msgspec.structs.replace(launch, proc=Proc(launch.proc.pid, -1), gone=True) if launch.proc else None
    if launch.proc is not None:
        return launch if procfs.alive(launch.proc) else msgspec.structs.replace(launch, gone=True)
    bearers = procfs.bearing(procfs.INSTANCE_VARIABLE, launch.instance)
    # The oldest is the main process: its children were forked from it and show the same environment.
    main = min(bearers, key=lambda proc: (proc.started, proc.pid), default=None)
    return msgspec.structs.replace(launch, proc=main) if main else None
