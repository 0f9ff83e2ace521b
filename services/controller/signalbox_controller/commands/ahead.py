"""Cancels that wait in Redis to be read: no worker is launched before it is known what they forbid."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime

from signalbox.bus.consumer import Consumer
from signalbox.bus.signing import verify
from signalbox.errors import BadSignature, UnreadableMessage
from signalbox.messages.codec import decode_command
from signalbox.messages.commands import CancelTask, CancelTasks


async def cancels_ahead(consumer: Consumer, key: str) -> AsyncIterator[tuple[Collection[str], datetime]]:
    """The tasks of each, and when it was given; they are carried out, and all else is refused, when their turn comes.

    Raises:
        BusUnavailable: Redis is away.
    """
    async for entry in consumer.ahead():
        try:
            command = decode_command(entry.data)
            verify(key, entry.data, entry.signature)
        except (UnreadableMessage, BadSignature):
            continue
        match command:
            case CancelTask():
                yield (command.task_id,), command.issued_at
            case CancelTasks():
                yield command.task_ids, command.issued_at
            case _:
                pass
