"""Watcher: the bounded queue of one browser, which gets counts instead of changes while it cannot keep up."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

import msgspec

from signalbox.messages.base import utc_now
from signalbox_api.live.subscription import Subscribe

#: Frames, and characters of them, that may wait for one browser.
QUEUE_FRAMES = 200
QUEUE_CHARACTERS = 4_000_000
#: The most beats with counts before a browser has to load its lists anew.
MOST_DELAY = 15
#: Beats without falling behind after which the next delay is the shortest again.
FORGET_AFTER = 30


class Frame(msgspec.Struct, frozen=True):
    """An encoded frame, and the number of changes in it."""

    text: str
    changes: int = 0


class Watcher:
    """Queue of frames for one browser.

    When the queue is full, what is in it is left out, and so is all that follows: the browser gets beats that count.
    When it has taken everything, it is told at a beat to load its lists anew; the more often that happens, the later.
    """

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._characters = 0
        self._requested: Subscribe | None = None
        self._changed = asyncio.Event()
        #: Whether everything was taken, and the next frame is waited for.
        self._idle = False
        #: Changes that are left out, and since when; None: none are.
        self.left_out: int | None = None
        self._behind_since = utc_now()
        self._delay = self._beats_left = self._in_time = 0

    def put(self, frame: Frame) -> None:
        """Queue a frame; never waits."""
        if self.left_out is not None:
            self.left_out += frame.changes
        elif len(self._frames) >= QUEUE_FRAMES or self._characters + len(frame.text) > QUEUE_CHARACTERS:
            self._fall_behind(frame.changes)
        else:
            self._queue(frame)

    def beat(self, frame: Frame, counting: Callable[[int, datetime], Frame], resync: Callable[[], Frame]) -> None:
        """Queue the beat `frame`; or, while changes are left out, the one that counts them, or the end of that."""
        if self.left_out is None:
            self._in_time += 1
            self._delay = 0 if self._in_time >= FORGET_AFTER else self._delay
            self.put(frame)
        elif self._idle and self._beats_left <= 0:
            self.left_out = None
            self._queue(resync())
        elif self._idle:
            self._beats_left -= 1
            self._queue(counting(self.left_out, self._behind_since))

    def request(self, message: Subscribe) -> None:
        """Have `next` return this message, at once: what waits is of the subscription before."""
        self._requested = message
        self._changed.set()

    async def next(self) -> Frame | Subscribe:
        """The next frame, or the message by which the browser asks for others."""
        while not self._frames and self._requested is None:
            self._idle = True
            self._changed.clear()
            await self._changed.wait()
        self._idle = False
        if self._requested is not None:
            message, self._requested = self._requested, None
            self._start_over()
            return message
        frame = self._frames.popleft()
        self._characters -= len(frame.text)
        return frame

    def _queue(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._characters += len(frame.text)
        self._changed.set()

    def _fall_behind(self, changes: int) -> None:
        self._behind_since = utc_now()
        self.left_out = changes + sum(frame.changes for frame in self._frames)
        self._frames.clear()
        self._characters = self._in_time = 0
        self._beats_left, self._delay = self._delay, min(MOST_DELAY, 2 * self._delay + 1)

    def _start_over(self) -> None:
        self._frames.clear()
        self._characters = 0
        self.left_out = None
