"""Which process it is: a pid alone may be another process tomorrow."""

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Identity:
    """A process beyond doubt: its pid, its start time in clock ticks since boot, and that boot."""

    pid: int
    ticks: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The identity of a running process; None when there is none (a zombie does not run)."""
        fields = stat_fields(pid)
        if fields is None or fields[0] in {"Z", "X"}:
            return None
        return cls(pid, int(fields[19]), _BOOT.read_text().strip())

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
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it is still the same process."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def stat_fields(pid: int) -> list[str] | None:
    """The fields of `/proc/<pid>/stat` from the state on (proc(5), field 3); None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name before may itself hold spaces and brackets; only the last bracket ends it.
    return text.rpartition(")")[2].split()
