"""Faults of the disk with the data folder of the controller."""

import os
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.faults.site import Site
from support.requirement import missing

#: What is taken at a time, down to a page.
SIZES = (1 << 22, 1 << 16, 1 << 12)


@asynccontextmanager
async def full(site: Site) -> AsyncIterator[None]:
    """Not a byte is left in the folder."""
    _need_a_disk(site)
    filler = site.system.data / "filler"
    try:
        with filler.open("wb") as file:
            for size in SIZES:
                _fill(file.fileno(), size)
        yield
    finally:
        filler.unlink(missing_ok=True)


def _fill(file: int, size: int) -> None:
    while True:
        try:
            os.posix_fallocate(file, os.fstat(file).st_size, size)
        except OSError:
            return


@asynccontextmanager
async def no_inodes(site: Site) -> AsyncIterator[None]:
    """No file can be made in the folder."""
    _need_a_disk(site)
    folder = site.system.data
    before = os.statvfs(folder)
    _allow_inodes(folder, before.f_files - before.f_ffree)
    try:
        yield
    finally:
        _allow_inodes(folder, before.f_files)


@asynccontextmanager
async def no_file_grows(site: Site) -> AsyncIterator[None]:
    """The controller may write nothing: its quota is used up."""
    pid = site.service("controller")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        if site.service("controller") == pid:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _need_a_disk(site: Site) -> None:
    if not site.own_disk:
        missing("only root may mount a file system, which this fault is about")


def _allow_inodes(folder: Path, count: int) -> None:
    subprocess.run(["mount", "-o", f"remount,nr_inodes={count}", str(folder)], check=True, capture_output=True)
