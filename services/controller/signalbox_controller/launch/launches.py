"""Launches whose processes have not ended yet, on disk: a restarted controller adopts them and starts nothing twice.

The instance is noted *before* the launch: a controller that is killed between the two finds the process by its
environment. The file needs no fsync: a power cut that loses it ends the processes, too.
"""

import os

import msgspec

from signalbox_agent.proc import Proc, boot_id, ended
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.linux.procfs import INSTANCE_VARIABLE, bearing, pid_namespace
from signalbox_controller.state.remembered import RememberedTable


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """One launch of a process; `proc` is missing between its note and the launch."""

    instance: str
    #: The boot of the machine in which it was launched.
    boot: str
    #: Where its part of the log begins.
    log_start: int = 0
    proc: Proc | None = None
    #: The path of its cgroup; empty when it has none.
    cgroup: str = ""
    #: Whether it ended while no controller was here.
    gone: bool = False
    #: As the file had it then; None: launched by a release that did not note it.
    spec: ProcessSpec | None = None
    #: Celery's name for it; empty for beat, and where the release did not note it.
    node: str = ""
    #: The pid namespace of the controller that launched it, in which its pid counts; empty: not noted.
    namespace: str = ""
    #: Whether the spec was read from the process itself, which does not tell all of it.
    found: bool = False


class Launches(RememberedTable[Launch]):
    """The launches that are alive, as far as is known, by the name of the process."""

    shape = dict[str, Launch]
    meaning = "which processes were left running"
    #: It holds the variables of the applications.
    private = True

    def left_behind(self) -> dict[str, Launch]:
        """The launches of a former controller, whether they run on or are gone."""
        boot = boot_id()
        found = {name: _found(launch, boot) for name, launch in self.value.items()}
        self.set({name: launch for name, launch in found.items() if launch is not None})
        return dict(self.value)


def _found(launch: Launch, boot: str) -> Launch | None:
    """A launch with its process as it is now; None when nothing was launched."""
    elsewhere = launch.namespace not in {"", pid_namespace(os.getpid())}
    if launch.boot != boot or elsewhere:  # its pid is void: it is another process' here, and start times begin anew
        return msgspec.structs.replace(launch, proc=Proc(launch.proc.pid, -1), gone=True) if launch.proc else None
    if launch.proc is not None:
        return msgspec.structs.replace(launch, gone=True) if ended(launch.proc) else launch
    marked = bearing(INSTANCE_VARIABLE, launch.instance)
    # The oldest is the main process: its children were forked from it and show the same environment.
    main = min(marked, key=lambda proc: (proc.started, proc.pid), default=None)
    return msgspec.structs.replace(launch, proc=main) if main else None
