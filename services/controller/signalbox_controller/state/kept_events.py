"""Kept events: on this host's disk from before they are published until the record has confirmed them.

Each event has a number, one more than the event before it. A segment is a file with one event a line; the number of a
line is that of the first one plus its place. The numbers begin anew with each start of the controller, under an epoch
of their own: a data folder that was set back cannot give a number twice. What former controllers left is numbered
first. A line that begins with `#` is no event: it says how many before it were not published yet, so that the next
controller publishes those, and not all. No fsync: a host that loses its power is noticed by its heartbeat.
"""

import logging
import os
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from signalbox.bus.publisher import EventEntry

log = logging.getLogger(__name__)

#: Bytes of a segment; a confirmed one is removed as a whole.
SEGMENT = 1 << 20
#: Bytes of all segments: some 500,000 events. Beyond it the oldest are on the bus only.
LIMIT = 256 << 20


class KeptEvent(msgspec.Struct, frozen=True):
    """An event and its number; without data, all from `first` to `last` are not on disk any more."""

    first: int
    last: int
    data: bytes | None


class _Segment(msgspec.Struct):
    path: Path
    first: int
    count: int = 0
    size: int = 0

    @property
    def last(self) -> int:
        return self.first + self.count - 1


class KeptEvents:
    """The events of this host that the record has not confirmed."""

    def __init__(self, folder: Path, *, segment: int = SEGMENT, limit: int = LIMIT) -> None:
        """Take over what is in `folder`, which is made when it is missing; the sizes are in bytes."""
        folder.mkdir(mode=0o700, exist_ok=True)
        self.epoch = uuid.uuid4().hex
        self._folder = folder
        self._segment_size, self._limit = segment, limit
        self._segments: deque[_Segment] = deque()
        self._size = 0
        self._handle: int | None = None
        #: The numbers of the latest event, and of the latest that is published, as are all before it.
        self.last = self.published = 0
        paths = sorted(folder.iterdir())
        self._files = int(paths[-1].name) if paths else 0
        for path in paths:
            self._take_over(path)
        #: The number of the last event of former controllers.
        self.inherited = self.last
        self._marked = self.published

    def number(self) -> int:
        """The number of the next event."""
        self.last += 1
        return self.last

    def entry(self, data: bytes, first: int, last: int | None = None) -> EventEntry:
        """The entry for the bus of an event with this number; it may stand for all up to `last`."""
        numbers = f"{self.epoch} {first}" if last is None or last == first else f"{self.epoch} {first} {last}"
        return EventEntry(data, numbers.encode())

    def append(self, first: int, events: Sequence[bytes]) -> bool:
        """Append events in one write, the first of which has this number; return whether the disk took them."""
        try:
            self._write(*self._open(first), first, events)
        except OSError as error:
            log.error("Events cannot be kept in %s: %s; the bus alone has them", self._folder, error)  # noqa: TRY400
            return False
        while self._size > self._limit and len(self._segments) > 1:
            dropped = self._drop_oldest()
            log.error("The record confirms nothing: %d events are on the bus only, not on disk", dropped.count)
        return True

    def confirm(self, last: int) -> None:
        """Remove events that the record has, up to this number."""
        while self._segments and self._segments[0].last <= last:
            self._drop_oldest()

    def between(self, first: int, last: int) -> Iterator[KeptEvent]:
        """The events with these numbers, in order; a hole is one item. Nothing may be removed meanwhile."""
        for segment in self._segments:
            if first > last or segment.first > last:
                break
            if segment.last < first:
                continue
            if segment.first > first:
                yield KeptEvent(first, segment.first - 1, None)
                first = segment.first
            for line in _lines(segment)[first - segment.first : last - segment.first + 1]:
                yield KeptEvent(first, first, line)
                first += 1
        if first <= last:
            yield KeptEvent(first, last, None)

    def close(self) -> None:
        """Close the file; the next controller takes over what is not confirmed."""
        if self._segments and self.published != self._marked:
            self.append(self.last + 1, [])
        self._close_file()

    def _close_file(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _take_over(self, path: Path) -> None:
        """Number the events of a former controller; a line that its death has cut off is removed."""
        try:
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(path, whole)
        except OSError as error:
            log.error("%s cannot be read: %s; its events are on the bus only", path, error)  # noqa: TRY400
            return
        if not whole:
            path.unlink(missing_ok=True)
            return
        if (mark := _last_mark(data[:whole])) is not None:
            before, unpublished = mark
            self.published = max(0, self.last + before - unpublished)
        segment = _Segment(path, self.last + 1, _count(data[:whole]), whole)
        self._segments.append(segment)
        self._size += whole
        self.last = segment.last

    def _open(self, first: int) -> tuple[int, _Segment]:
        """The segment for the event of this number, and its handle."""
        if self._handle is not None:
            segment = self._segments[-1]
            if not segment.count:  # the disk did not take what it was made for
                segment.first = first
            if segment.last + 1 == first and segment.size < self._segment_size:
                return self._handle, segment
            self._close_file()
        self._files += 1
        path = self._folder / f"{self._files:012d}"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segments.append(_Segment(path, first))
        return self._handle, self._segments[-1]

    def _write(self, handle: int, segment: _Segment, first: int, events: Sequence[bytes]) -> None:
        mark, published = b"", self.published
        if published != self._marked:
            mark = b"#%d\n" % (first - 1 - published)
        data = mark + b"".join(event + b"\n" for event in events)
        if os.write(handle, data) < len(data):
            os.ftruncate(handle, segment.size)  # half a line would shift the numbers of all that follow
            raise OSError("the disk is full")
        self._marked = published
        segment.count += len(events)
        segment.size += len(data)
        self._size += len(data)

    def _drop_oldest(self) -> _Segment:
        segment = self._segments.popleft()
        self._size -= segment.size
        if not self._segments:
            self._close_file()
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s; the next controller publishes it again", segment.path, error)
        return segment


def _lines(segment: _Segment) -> list[bytes]:
    """The events of a segment; none of one that cannot be read."""
    try:
        lines = segment.path.read_bytes().split(b"\n")
    except OSError as error:
        log.error("%s cannot be read: %s", segment.path, error)  # noqa: TRY400 - the text says it all
        return []
    return [line for line in lines if not line.startswith(b"#")][: segment.count]


def _count(data: bytes) -> int:
    """The number of events in whole lines."""
    return data.count(b"\n") - data.count(b"\n#") - data.startswith(b"#")


def _last_mark(data: bytes) -> tuple[int, int] | None:
    """The number of events before the last mark, and of those that were not published; None without a mark."""
    start = data.rfind(b"\n#") + 1
    if not data.startswith(b"#", start):
        return None
    number = data[start + 1 : data.find(b"\n", start)]
    return (_count(data[:start]), int(number)) if number.isdigit() else None
