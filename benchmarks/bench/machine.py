"""The machine and the versions that a report is about; nothing in it names the machine or who uses it."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from signalbox_local.stores.programs import postgres_programs, valkey_program

#: Packages that the figures depend on.
PACKAGES = ("celery", "kombu", "redis", "asyncpg", "fastapi", "uvicorn", "websockets")
#: Seconds for a program to say its version.
_TIMEOUT = 20.0


def describe() -> Mapping[str, str]:
    """What it is, by what a reader calls it."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        "memory": f"{int((_field(Path('/proc/meminfo'), 'MemTotal') or '0 kB').split()[0]) / 2**20:.1f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": _first_line(postgres_programs() / "postgres"),
        "Redis or Valkey": _first_line(valkey_program()),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def load() -> float:
    """Processes that wanted a core, on average over the last minute."""
    return os.getloadavg()[0]


def _field(path: Path, name: str) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _first_line(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]
