"""Waiting for the answers to one command."""

import asyncio
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.connection import speaking
from signalbox.bus.consumer import entries_of
from signalbox.messages.codec import decode_receipt
from signalbox.messages.receipts import AnyReceipt

#: Milliseconds for one blocking read; below the socket's time-out.
STEP_MS = 2000


async def follow(redis: Redis, command_id: str, wait: float) -> AsyncIterator[AnyReceipt]:
    """Every receipt of a command from the first one on, until `wait` seconds have passed.

    Raises:
        BusUnavailable: Redis went away while we waited.
    """
    stream, position = names.receipts(command_id), b"0"
    deadline = asyncio.get_running_loop().time() + wait
    while (left := deadline - asyncio.get_running_loop().time()) > 0:
        async with speaking():
            reply = await redis.xread({stream: position}, block=max(1, min(STEP_MS, int(left * 1000))))
        for entry in entries_of(reply):
            position = entry.position
            yield decode_receipt(entry.data)
