"""Log file of a process, which appends to it while it lives; it is kept small by cutting off its front.

A process holds its log by an open descriptor, and so do its pool children and whatever they launch. They would go on
writing to a renamed file, and a pipe would break when the controller ends. So the file stays, and its oldest part moves
to an archive: it is copied, then cut off by fallocate(2), which is atomic for every writer. No line is lost; one that
stands across the cut is whole in the archive, and its end stands at the head of the file, too.
"""

import ctypes
import errno
import logging
import os
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec

log = logging.getLogger(__name__)

#: Bytes that are read, and lines and characters that are returned, by `last_lines`.
WINDOW = 16_384
LINES = 6
LENGTH = 600
#: What stands between two quoted lines: a message is one line, and the dashboard breaks it here.
LINE_BREAK = " | "
#: Bytes that are copied at once.
CHUNK = 1_048_576
#: linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE = 0x01, 0x02, 0x08
#: Errors of file systems that do not support an operation.
CANNOT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[logs]`: how much of what a process prints is kept."""

    #: Beyond this the older part of its log moves to an archive.
    max_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 10_485_760
    #: Archives that are kept: `worker.log.1` is the newest.
    keep: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5


class LogFile:
    """The log of one process; positions count from the first byte of the file when the controller opened it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        #: Bytes that were cut off its front.
        self._cut = 0

    def position(self) -> int:
        """The position of the next byte."""
        try:
            return self._cut + self.path.stat().st_size
        except OSError:
            return self._cut

    def last_lines(self, since: int) -> str:
        """The last lines from that position on, joined to one; empty when there are none."""
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(since - self._cut, end - WINDOW, 0))
                text = file.read(WINDOW).decode(errors="replace")
        except OSError:
            return ""
        words = ""
        lines = (line.strip("\0 \t\r") for line in reversed(text.splitlines()))
        for line in islice(filter(None, lines), LINES):
            if words and len(line) + len(words) > LENGTH:
                break
            words = f"{line}{LINE_BREAK}{words}" if words else line[-LENGTH:]
        return words

    def contains(self, text: str, since: int) -> bool:
        """Whether this was written since that position."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(since - self._cut, 0))
                return text.encode() in file.read()
        except OSError:
            return False

    @property
    def full(self) -> bool:
        """Whether it has to be trimmed."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        # A file with a hole is as large as before, and takes less space on the disk.
        return min(stat.st_size, stat.st_blocks * 512) > self._limits.max_bytes

    def trim(self) -> None:
        """Move all but its end to a new archive, and delete the oldest one; blocks until that is done.

        Raises:
            OSError: the disk is full, or the file is missing; nothing is lost, some lines may stand there twice.
        """
        with self.path.open("r+b") as file:
            handle = file.fileno()
            stat = os.fstat(handle)
            start = _first_byte(handle)
            # Only whole blocks can be taken off, and never the last one.
            end = (stat.st_size - 1) // stat.st_blksize * stat.st_blksize
            if end <= start:
                return
            fresh = self.path.with_name(f"{self.path.name}.new")
            _copy(handle, fresh, start, end)
            self._shift(fresh)
            if _cut_off(handle, end):
                self._cut += end

    def _archive(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _shift(self, fresh: Path) -> None:
        for number in range(self._limits.keep, 1, -1):
            if self._archive(number - 1).exists():
                self._archive(number - 1).replace(self._archive(number))
        if self._limits.keep:
            fresh.replace(self._archive(1))
        else:
            fresh.unlink()


def _first_byte(handle: int) -> int:
    """The first byte behind the hole that an earlier cut may have left."""
    try:
        return os.lseek(handle, 0, os.SEEK_DATA)
    except OSError:
        return 0


def _copy(handle: int, target: Path, start: int, end: int) -> None:
    """Copy a part, and the rest of the line that stands across its end."""
    with target.open("wb") as file:
        while start < end and (data := os.pread(handle, min(CHUNK, end - start), start)):
            start += len(data)
            file.write(data)
        if not data.endswith(b"\n"):
            rest, newline, _ = os.pread(handle, WINDOW, start).partition(b"\n")
            file.write(rest + newline)


def _cut_off(handle: int, end: int) -> bool:
    """Remove the first bytes of a file, or free their space; return whether the others moved to its front."""
    try:
        _fallocate(handle, COLLAPSE_RANGE, end)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
    else:
        return True
    _fallocate(handle, PUNCH_HOLE | KEEP_SIZE, end)
    return False


def _fallocate(handle: int, mode: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(handle, mode, ctypes.c_long(0), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
