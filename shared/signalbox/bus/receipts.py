"""Receipts of one command, read from its stream."""

import logging
from datetime import UTC, datetime

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.bus.consumer import Entry, entries_of, rows_of
from signalbox.errors import UnreadableMessage
from signalbox.messages.codec import decode_receipt
from signalbox.messages.receipts import AnyReceipt, Concluded

log = logging.getLogger(__name__)

#: Seconds for one blocking read; below the socket's time-out.
STEP = 2.0


class Receipts:
    """Reader of the receipts of a command, from the first one on."""

    def __init__(self, redis: Redis, command_id: str) -> None:
        self._redis = redis
        self._stream = names.receipts(command_id)
        self._position = b"0"

    async def next(self, wait: float) -> list[AnyReceipt]:
        """The receipts since the last call, waiting up to `wait` seconds (at most two) for one.

        Raises:
            BusUnavailable: Redis went away.
        """
        block = max(1, int(min(STEP, wait) * 1000))
        async with bus_errors(self._redis, {self._stream: "stream"}):
            entries = entries_of(await self._redis.xread({self._stream: self._position}, block=block))
        if entries:
            self._position = entries[-1].position
        return [receipt for entry in entries if (receipt := _readable(entry)) is not None]


async def concluded_at(redis: Redis, command_id: str) -> datetime | None:
    """When a command was concluded, by the clock of Redis; None as long as it was not."""
    stream = names.receipts(command_id)
    async with bus_errors(redis, {stream: "stream"}):
        entries = rows_of(await redis.xrange(stream))
    for entry in entries:
        if isinstance(_readable(entry), Concluded):
            return datetime.fromtimestamp(int(entry.position.partition(b"-")[0]) / 1000, UTC)
    return None


def _readable(entry: Entry) -> AnyReceipt | None:
    # A controller that is newer than this caller may send receipts that are unknown here.
    try:
        receipt: AnyReceipt = decode_receipt(entry.data)
    except UnreadableMessage as error:
        log.warning("passed over a receipt: %s", error)
        return None
    return receipt
