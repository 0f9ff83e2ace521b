"""What a process prints: one file that it appends to for as long as it lives, kept small by taking off its front.

A process holds its log by an open descriptor, and so do its pool children and whatever they launch: a file that is
renamed goes on to be written to under its new name, and a pipe would tie the life of Celery to that of its
controller. So the file stays, and its oldest part moves to an archive: copied first, then taken off by fallocate(2),
which the kernel does in one step with respect to every writer. No line is lost; one that stands across the cut is
whole in the archive, and its end stands at the head of the file, too.
"""

import ctypes
import errno
import logging
import os
from itertools import islice
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

#: Bytes that are looked at, lines and characters that are shown, when a process is asked for its last words.
WINDOW = 16_384
LINES = 6
LENGTH = 600
#: Bytes that are copied at once.
CHUNK = 1_048_576
#: linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE = 0x01, 0x02, 0x08
#: What file systems answer to what they cannot do.
CANNOT = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what a process printed is kept."""

    #: Beyond this the older part of its log moves to an archive.
    max_bytes: int = 10_485_760
    #: Archives that are kept: `worker.log.1` is the newest.
    keep: int = 5


class LogFile:
    """The log of one process; positions count from the first byte that it ever had under our eyes."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._limits = limits
        #: Bytes that were taken off its front.
        self._cut = 0

    def position(self) -> int:
        """Where the next byte will stand."""
        try:
            return self._cut + self.path.stat().st_size
        except OSError:
            return self._cut

    def last_words(self, since: int) -> str:
        """The last lines that were written from that position on, on one line; empty when there are none."""
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
            words = f"{line} | {words}" if words else line[-LENGTH:]
        return words

    @property
    def full(self) -> bool:
        """Whether it is time to trim it."""
        try:
            seen = self.path.stat()
        except OSError:
            return False
        # What a hole was punched into is as large as before, and takes less of the disk.
        return min(seen.st_size, seen.st_blocks * 512) > self._limits.max_bytes

    def trim(self) -> None:
        """Move all but the end of it to a new archive, and drop the oldest one; blocks for as long as that takes.

        Raises:
            OSError: the disk is full, or the file away; nothing is lost then, and some of it may stand there twice.
        """
        with self.path.open("r+b") as file:
            handle = file.fileno()
            seen = os.fstat(handle)
            start = _first_byte(handle)
            # Only whole blocks can be taken off, and never the last one.
            end = (seen.st_size - 1) // seen.st_blksize * seen.st_blksize
            if end <= start:
                return
            fresh = self.path.with_name(f"{self.path.name}.new")
            _copy(handle, fresh, start, end)
            self._shift(fresh)
            if _take_off(handle, end):
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
    """Where the file begins behind the hole that an earlier cut may have left."""
    try:
        return os.lseek(handle, 0, os.SEEK_DATA)
    except OSError:
        return 0


def _copy(handle: int, target: Path, start: int, end: int) -> None:
    """Copy that part, and the rest of the line that stands across its end."""
    with target.open("wb") as file:
        while start < end and (data := os.pread(handle, min(CHUNK, end - start), start)):
            start += len(data)
            file.write(data)
        if not data.endswith(b"\n"):
            rest, newline, _ = os.pread(handle, WINDOW, start).partition(b"\n")
            file.write(rest + newline)


def _take_off(handle: int, end: int) -> bool:
    """Remove the first bytes of a file, or free their space; answers whether the others moved to its front."""
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
