"""Out of memory: whether the kernel killed a process for it. The kernel is asked; signal 9 alone proves nothing.

The kernel's log names the pid of each victim (mm/oom_kill.c). Where we may not read it, or live in a pid namespace
with other numbers than the log's, the counter of our control group (version 2, `memory.events`) tells whether anything
was killed for memory at that time.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

#: `yes`: the kernel names the process; `probably`: at that moment it killed something; `unseen`: nothing can be read.
Finding = Literal["yes", "probably", "no", "unseen"]

#: Seconds between the kernel's count of a victim and our look at its death, at most.
RECENT = 3.0
#: Bytes of one record of the log at most (printk's limit).
RECORD = 8192
#: Victims that are remembered.
REMEMBERED = 1000
#: The inode of the first pid namespace (include/linux/proc_ns.h): only there the log's numbers are ours.
FIRST_PIDS = "pid:[4026531836]"

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_VICTIM = re.compile(r"out of memory[^:]*: Killed process (\d+) ", re.IGNORECASE)


def victim_of(record: str) -> int | None:
    """The pid that a record of `/dev/kmsg` names as killed for memory; only the kernel itself is believed.

    The number in front is 8 × facility + severity; the kernel's facility is 0, and nobody else can write as it.
    """
    head, _, text = record.partition(";")
    priority = head.partition(",")[0]
    found = _VICTIM.search(text) if priority.isdigit() and int(priority) < 8 else None
    return int(found[1]) if found else None


class KernelLog:
    """The victims since we began to look, from `/dev/kmsg`."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        """Raises OSError where the log is not for us to read."""
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._handle, 0, os.SEEK_END)
        self._victims: dict[int, None] = {}

    def names(self, pid: int) -> bool:
        """Whether this process was a victim; answered once, as pids come again."""
        for record in self._records():
            if (victim := victim_of(record)) is not None:
                self._victims[victim] = None
        while len(self._victims) > REMEMBERED:
            del self._victims[next(iter(self._victims))]
        return self._victims.pop(pid, False) is None

    def _records(self) -> Iterator[str]:
        while True:
            try:
                yield os.read(self._handle, RECORD).decode(errors="replace")
            except BrokenPipeError:  # some were overwritten before we came; the next read goes on behind them
                continue
            except OSError:
                return

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class Counter:
    """How many processes were killed for memory in our control group."""

    def __init__(self, path: Path) -> None:
        """`path` is a file with a line `oom_kill <count>`; see `counter_path`."""
        self._path = path
        self._count = self._read()
        #: On the monotonic clock.
        self.rose_at = float("-inf")

    @property
    def readable(self) -> bool:
        """Whether it tells anything."""
        return self._count is not None

    def update(self) -> None:
        """Compare with the last count; called often, lest an old rise pass for a recent one."""
        count = self._read()
        if count is not None and self._count is not None and count > self._count:
            self.rose_at = time.monotonic()
        self._count = count

    def rose(self) -> bool:
        """Whether it rose a moment ago."""
        self.update()
        return time.monotonic() - self.rose_at < RECENT

    def _read(self) -> int | None:
        try:
            found = _COUNT.search(self._path.read_text(encoding="ascii"))
        except OSError:
            return None
        return int(found[1]) if found else None


def counter_path(membership: str, mounted: Path = Path("/sys/fs/cgroup")) -> Path:
    """The file that counts for a control group of version 2; `membership` is the text of `/proc/self/cgroup`."""
    group = next((line[3:] for line in membership.splitlines() if line.startswith("0::")), "")
    return mounted / group.lstrip("/") / "memory.events"


class OutOfMemory:
    """Asks the kernel's log, or where that cannot be read the counter."""

    def __init__(self) -> None:
        self._log = _kernel_log()
        membership = Path("/proc/self/cgroup")
        self._counter = Counter(counter_path(membership.read_text(encoding="utf-8") if membership.exists() else ""))

    def killed(self, pid: int) -> Finding:
        """What the kernel says of a process that died of KILL just now."""
        if self._log is not None:
            return "yes" if self._log.names(pid) else "no"
        if not self._counter.readable:
            return "unseen"
        return "probably" if self._counter.rose() else "no"

    async def follow(self) -> None:
        """Keep the counter up to date where it is needed, for ever."""
        while True:
            await asyncio.sleep(RECENT)
            if self._log is None:
                self._counter.update()

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()


def _kernel_log() -> KernelLog | None:
    try:
        return KernelLog() if str(Path("/proc/self/ns/pid").readlink()) == FIRST_PIDS else None
    except OSError as error:
        log.info("The kernel's log cannot be read (%s): who was killed for memory is known with less certainty", error)
        return None
