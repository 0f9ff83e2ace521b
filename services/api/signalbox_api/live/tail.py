"""Tail of `signalbox:changes`: read once for all browsers, and again for one that was away."""

import asyncio
import logging
import re
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.consumer import Entry, entries_of, rows_of
from signalbox.bus.malformed import add_dead_letter
from signalbox.errors import BusUnavailable
from signalbox.service import Backoff
from signalbox_api.live import frames
from signalbox_api.live.changes import Before, Change, Unreadable, read_change
from signalbox_api.live.hub import Channel, Hub

log = logging.getLogger(__name__)

#: Milliseconds to block for changes; without any, the stream is checked for being the same.
BLOCK_MS = 1000
#: Seconds between two such checks while changes come.
CHECK_EVERY = 1.0
#: Changes in one frame.
BATCH = 500
#: Changes that a browser may catch up on; beyond that, loading the lists again is quicker.
CATCH_UP = 5000
#: Seconds until the next read for each browser that got a frame, as that costs about half of it, and at most.
GATHER, MOST_GATHER = 0.00005, 0.1
#: Where a stream begins that has no entries.
START = "0-0"


_POSITION = re.compile(r"\d{1,15}-\d{1,10}")


class Tail:
    """Tail of the stream, from now on; `position` is the last entry that was read."""

    def __init__(self, redis: Redis, hub: Hub) -> None:
        self._redis = redis
        self._hub = hub
        self._position: str | None = None
        #: The position when it was last looked whether something was lost, and when, in seconds of the event loop.
        self._checked: str | None = None
        self._checked_at = 0.0
        self._last_change: float | None = None
        #: When Redis last answered, in seconds of the event loop.
        self._answered_at: float | None = None
        self._before = Before(time.time())
        self.connected = False

    @property
    def position(self) -> str:
        """The position of the last change that went to the hub."""
        return self._position or START

    @property
    def record_age(self) -> float | None:
        """Seconds since the last change of the record; None: none yet."""
        return None if self._last_change is None else max(0.0, time.time() - self._last_change)

    @property
    def silent_for(self) -> float | None:
        """Seconds since Redis last answered, with changes or without; None: never."""
        return None if self._answered_at is None else asyncio.get_running_loop().time() - self._answered_at

    async def follow(self) -> None:
        """Broadcast changes for ever; after a gap, have all browsers load their lists again."""
        backoff = Backoff(first=0.05, most=2.0)
        while True:
            try:
                await self._continue()
                while True:
                    await self._step()
                    backoff.reset()
            except (BusUnavailable, RedisError) as error:
                if self.connected:
                    log.warning("live changes stand still: %s", error)
                self.connected = False
                await backoff.pause()

    async def _continue(self) -> None:
        """Go on from the position, or from the end if changes since the last time may have been lost."""
        if self._position is None or not await self._all_still_there(self._checked, self._position):
            resync = self._position is not None or len(self._hub) > 0
            self._move_to(await self._end())
            self._before = Before(time.time())
            if resync:
                log.info("changes may have been missed: every browser loads its lists again")
                self._hub.broadcast(frames.hello(self.position, resync=True))
        self.connected = True
        self._checked = self._position
        self._checked_at = self._answered_at = asyncio.get_running_loop().time()

    async def _step(self) -> None:
        async with bus_errors(self._redis):
            try:
                reply = await self._redis.xread({names.CHANGES: self.position}, count=BATCH, block=BLOCK_MS)
            except ResponseError as error:  # the stream was deleted while we waited
                if not str(error).startswith("UNBLOCKED"):
                    raise
                reply = None
        entries = entries_of(reply)
        if entries:
            await self._pass_on(entries)
        # Only a stream of which there is more to read can have been trimmed, but any can have been deleted.
        if len(entries) in {0, BATCH} or asyncio.get_running_loop().time() - self._checked_at > CHECK_EVERY:
            await self._continue()

    async def _pass_on(self, entries: list[Entry]) -> None:
        self._answered_at = asyncio.get_running_loop().time()
        self._move_to(entries[-1].position.decode())
        if self._checked == START:  # which would be there in any stream
            self._checked = entries[0].position.decode()
        changes, unreadable = _read(entries)
        sent = self._hub.changed(self.position, self._before.added(changes))
        for entry in unreadable:
            await add_dead_letter(self._redis, names.CHANGES, entry.data, "it is no change")
        await asyncio.sleep(min(MOST_GATHER, GATHER * sent))

    def _move_to(self, position: str) -> None:
        self._position = position
        if position != START:  # the first half of a position is when Redis took the change, in milliseconds
            self._last_change = int(position.partition("-")[0]) / 1000

    async def _end(self) -> str:
        async with bus_errors(self._redis):
            last = rows_of(await self._redis.xrevrange(names.CHANGES, count=1))
        return last[0].position.decode() if last else START

    async def _all_still_there(self, *positions: str | None) -> bool:
        return all([await self._still_there(position) for position in {*positions} if position is not None])

    async def _still_there(self, position: str) -> bool:
        """Whether nothing that follows `position` can have been lost: a flush or a trim takes the entry itself, too."""
        if position == START:
            return True
        async with bus_errors(self._redis):
            return bool(await self._redis.xrange(names.CHANGES, min=position, max=position, count=1))

    async def since(self, position: str, until: str, channel: Channel) -> list[str] | None:
        """The frames of a channel that lead from `position` to `until`; None: some of them are gone."""
        if self._position is None or not _POSITION.fullmatch(position):
            return None
        if position == until:
            return []
        entries = await self._between(position, until)
        if entries is None or len(entries) > CATCH_UP:
            return None
        before = Before(int(position.partition("-")[0]) / 1000)
        portions = [entries[first : first + BATCH] for first in range(0, len(entries), BATCH)]
        return [frame for portion in portions if (frame := _frame(portion, channel, before))]

    async def _between(self, position: str, until: str) -> list[Entry] | None:
        """The entries after `position`, at most one more than anybody may catch up on; None: some of them are gone."""
        if position == START:  # of this stream, or of one that is gone
            return None
        try:
            async with bus_errors(self._redis):
                rows = await self._redis.xrange(names.CHANGES, min=f"({position}", max=until, count=CATCH_UP + 1)
            return rows_of(rows) if await self._still_there(position) else None
        except BusUnavailable:
            return None


def _frame(entries: list[Entry], channel: Channel, before: Before) -> str:
    """The changes that the channel wants; empty: none."""
    selected = channel.select(before.added(_read(entries)[0]))
    return frames.changes(entries[-1].position.decode(), (change.data for change in selected)) if selected else ""


def _read(entries: list[Entry]) -> tuple[list[Change], list[Entry]]:
    """The changes, and the entries that are none."""
    changes, unreadable = [], []
    for entry in entries:
        try:
            changes.append(read_change(entry))
        except Unreadable:
            unreadable.append(entry)
    return changes, unreadable
