"""A real shortage of memory for one process, by a control group of the test's own (version 1 or 2; takes root)."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from support.requirement import missing

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def scarce_memory(pid: int, megabytes: int) -> Iterator[None]:
    """Let this process take only so much more memory; the kernel ends it when it wants more."""
    versions = [(ROOT / "memory", "memory.limit_in_bytes"), (ROOT, "memory.max")]
    base, limit = next(((base, limit) for base, limit in versions if _counts_memory(base, limit)), (None, ""))
    if base is None or os.geteuid() != 0:
        missing("no control group for memory may be made here (it takes root), so none runs out of it")
    before = _group_of(pid, base)
    group = base / f"signalbox-test-{uuid4().hex[:8]}"
    group.mkdir()
    try:
        (group / limit).write_text(f"{megabytes * 1024 * 1024}", encoding="ascii")
        (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
        yield
    finally:
        for survivor in (group / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                (before / "cgroup.procs").write_text(survivor, encoding="ascii")
        group.rmdir()


def _counts_memory(base: Path, limit: str) -> bool:
    if limit == "memory.max":
        control = base / "cgroup.subtree_control"
        with contextlib.suppress(OSError):
            control.write_text("+memory", encoding="ascii")
        return control.is_file() and "memory" in control.read_text(encoding="ascii").split()
    return (base / limit).is_file()


def _group_of(pid: int, base: Path) -> Path:
    """The control group that the process is in now."""
    controllers = "memory" if base != ROOT else ""
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        _, name, group = line.split(":", 2)
        if name == controllers:
            return base / group.lstrip("/")
    return base
