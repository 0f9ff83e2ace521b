"""Consumer of a stream, one member of a group: at least once, in batches, surviving a lost server.

The rules: entries that this consumer left unacknowledged before a restart come first; those of a dead sibling are
claimed; an entry that keeps failing becomes a dead letter with its reason; a group that vanished (FLUSHALL, an empty
restart) is made again from the beginning of the stream, so that nothing published since is skipped.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError
from redis.typing import EncodableT, FieldT

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.malformed import DEAD_LENGTH
from signalbox.errors import BusUnavailable

#: Milliseconds to block for new entries; well below the socket's time-out.
BLOCK_MS = 2000
#: Entries that another consumer holds for longer than this, in milliseconds, are taken over.
CLAIM_AFTER_MS = 30_000
#: Deliveries after which an entry becomes a dead letter.
MAX_DELIVERIES = 5


class Entry(msgspec.Struct, frozen=True):
    """One entry of a stream."""

    position: bytes
    data: bytes
    signature: bytes | None = None
    #: Of an event, its number; see `EventEntry`.
    numbers: bytes | None = None


class Consumer:
    """Consumer: one member of a group on one stream.

    A batch must be handled or given up before the next `read`; after an outage, and in `claim`, entries that were not
    acknowledged come again.
    """

    def __init__(
        self,
        redis: Redis,
        stream: str,
        group: str,
        name: str,
        *,
        batch: int = 500,
        claim_after_ms: int = CLAIM_AFTER_MS,
    ) -> None:
        self._redis = redis
        self._stream = stream
        self._group = group
        self._name = name
        self._batch = batch
        self._claim_after_ms = claim_after_ms
        self._claim_from: bytes = b"0-0"
        self._backlog: bytes | None = b"0"
        #: Whether the last batch may have been handled before.
        self.redelivered = False

    async def read(self, block_ms: int = BLOCK_MS) -> list[Entry]:
        """The next entries, waiting up to `block_ms` for one; empty when none came.

        Raises:
            BusUnavailable: Redis is away; call again.
        """
        try:
            async with bus_errors(self._redis):
                return await self._read(block_ms)
        except BusUnavailable:
            # Its answer, with entries for us, may have been lost.
            self.rewind()
            raise
        except ResponseError as error:
            if not _group_is_gone(error):
                raise
            async with bus_errors(self._redis):
                await self._create_group()
            return []

    async def _read(self, block_ms: int) -> list[Entry]:
        if self._backlog is not None:
            entries = await self._next(self._backlog, block_ms=None)
            self._backlog = entries[-1].position if entries else None
            if entries:
                self.redelivered = True
                return entries
        self.redelivered = False
        return await self._next(b">", block_ms)

    async def _next(self, after: bytes, block_ms: int | None) -> list[Entry]:
        reply = await self._redis.xreadgroup(
            self._group, self._name, {self._stream: after}, count=self._batch, block=block_ms
        )
        return entries_of(reply)

    async def ahead(self) -> AsyncIterator[Entry]:
        """Entries that the group has yet to handle, oldest first, without taking any of them.

        Raises:
            BusUnavailable: Redis is away.
        """
        try:
            position = await self._first_ahead()
            while position is not None:
                async with bus_errors(self._redis):
                    reply = await self._redis.xrange(self._stream, min=position, count=self._batch)
                entries = rows_of(reply)
                for entry in entries:
                    yield entry
                position = b"(" + entries[-1].position if entries else None
        except ResponseError as error:
            if "no such key" not in str(error).lower():
                raise

    async def _first_ahead(self) -> bytes | None:
        """The first entry that may not have been handled; None while there is no group."""
        async with bus_errors(self._redis):
            groups = {row["name"]: row for row in await self._redis.xinfo_groups(self._stream)}
            group = groups.get(self._group.encode())
            if group is None:
                return None
            pending = await self._redis.xpending(self._stream, self._group) if group["pending"] else {"min": None}
        return bytes(pending["min"] or b"(" + group["last-delivered-id"])

    async def _create_group(self) -> None:
        try:
            await self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise
        self._backlog = b"0"

    def rewind(self) -> None:
        """Read entries again that were delivered and not acknowledged: their effect did not become durable."""
        self._backlog = b"0"

    async def claim(self) -> list[Entry]:
        """Take over entries that a sibling has held for too long; to be handled like any other batch."""
        try:
            async with bus_errors(self._redis):
                reply = await self._redis.xautoclaim(
                    self._stream,
                    self._group,
                    self._name,
                    min_idle_time=self._claim_after_ms,
                    start_id=self._claim_from,
                    count=self._batch,
                )
        except ResponseError as error:
            if not _group_is_gone(error):
                raise
            return []
        self._claim_from = reply[0]
        self.redelivered = True
        return rows_of(reply[1])

    async def acknowledge(self, entries: list[Entry], also: Callable[[Pipeline], None] | None = None) -> None:
        """Acknowledge entries whose effect is durable; commands that `also` queues run in the same transaction."""
        if not entries:
            return
        async with bus_errors(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(self._stream, self._group, *(entry.position for entry in entries))
            if also:
                also(pipe)
            await pipe.execute()

    async def dead_letter(self, entry: Entry, reason: str) -> None:
        """Move an entry that nobody can handle to the dead-letter stream, with the reason."""
        fields: dict[FieldT, EncodableT] = {"data": entry.data, "reason": reason, "position": entry.position}
        async with bus_errors(
            self._redis
        ):  # not in one transaction, of which Redis would carry out the second half only
            await self._redis.xadd(names.dead(self._stream), fields, maxlen=DEAD_LENGTH, approximate=True)
            await self._redis.xack(self._stream, self._group, entry.position)


def _group_is_gone(error: ResponseError) -> bool:
    # UNBLOCKED: the stream was deleted under a blocked read.
    return str(error).startswith(("NOGROUP", "UNBLOCKED"))


def entries_of(reply: object) -> list[Entry]:
    """The entries in a reply to XREADGROUP, in either form that redis-py gives it."""
    if not reply:
        return []
    streams = reply.items() if isinstance(reply, dict) else reply
    entries = []
    for _, batches in streams:  # type: ignore[attr-defined]
        rows = batches[0] if batches and isinstance(batches[0], list) else batches
        entries += rows_of(rows)
    return entries


def rows_of(rows: Any) -> list[Entry]:  # noqa: ANN401 - the driver's types fit no answer that it gives
    """The entries in a reply to XRANGE or XREVRANGE."""
    return [_entry(position, fields) for position, fields in rows]


def _entry(position: bytes, fields: dict[bytes, bytes] | None) -> Entry:
    """An entry; one that Redis has dropped has no fields, and no data. Fields that are not ours are the data."""
    if not fields:
        return Entry(position, b"")
    data = fields.get(b"data") or repr(fields).encode()
    return Entry(position, data, fields.get(b"sig"), fields.get(b"numbers"))
