"""Which process it is: a pid alone may be another process tomorrow."""

import json
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from signalbox_agent.proc import Proc, boot_id, ended, identify
from signalbox_controller.linux.signals import send


@dataclass(frozen=True)
class Identity:
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
            data = json.loads(path.read_text())
            return cls(int(data["pid"]), int(data["ticks"]), str(data["boot"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Write it down for a later run."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self)))

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
