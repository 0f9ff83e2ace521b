"""Identity of a process: its pid alone may be that of another process tomorrow."""

import signal
from pathlib import Path

import msgspec

from signalbox_agent.proc import Proc, boot_id, ended, identify
from signalbox_controller.linux.signals import send


class Identity(msgspec.Struct, frozen=True):
    """A process beyond doubt: its pid, its start time in clock ticks since boot, and that boot."""

    pid: int
    ticks: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The identity of a running process; None when there is none (a zombie does not run)."""
        proc = identify(pid)
        return None if proc is None or ended(proc) else cls(pid, proc.started, boot_id())

    @classmethod
    def load(cls, path: Path) -> "Identity | None":
        """The identity that `save` wrote; None when there is none that can be read."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, path: Path) -> None:
        """Write it down for a later run."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(self))

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.boot == boot_id() and not ended(self._proc)

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still the same process."""
        if self.boot == boot_id():
            send(self._proc, number)

    @property
    def _proc(self) -> Proc:
        return Proc(self.pid, self.ticks)
