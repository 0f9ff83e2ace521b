"""Hub of the live browsers, each with a bounded queue: a slow one is cut off, and can resume where it was."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from signalbox_api.errors import Full

#: Browsers at a time.
BROWSERS = 1000
#: Frames, and characters of them, that may wait for one browser.
QUEUE_FRAMES = 1000
QUEUE_CHARACTERS = 8_000_000


class Overrun(Exception):
    """Overrun of a queue: the browser reads more slowly than the record changes."""


class Watcher:
    """Queue of frames for one browser."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._characters = 0
        self._overrun = False
        self._changed = asyncio.Event()

    def put(self, frame: str) -> None:
        """Queue a frame; never waits."""
        if len(self._frames) >= QUEUE_FRAMES or self._characters + len(frame) > QUEUE_CHARACTERS:
            self._overrun = True
        else:
            self._frames.append(frame)
            self._characters += len(frame)
        self._changed.set()

    async def next(self) -> str:
        """The next frame.

        Raises:
            Overrun: some frames had no room.
        """
        while not self._frames:
            if self._overrun:
                raise Overrun
            self._changed.clear()
            await self._changed.wait()
        frame = self._frames.popleft()
        self._characters -= len(frame)
        return frame


class Hub:
    """Puts every frame into the queue of every watcher."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    def __len__(self) -> int:
        return len(self._watchers)

    def broadcast(self, frame: str) -> None:
        """Queue a frame for all watchers."""
        for watcher in self._watchers:
            watcher.put(frame)

    @contextmanager
    def watching(self) -> Iterator[Watcher]:
        """Add a watcher, which gets all frames from this moment on.

        Raises:
            Full: there are too many already.
        """
        if len(self._watchers) >= BROWSERS:
            raise Full(f"{BROWSERS} browsers are watching already; close some, or run another api")
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
