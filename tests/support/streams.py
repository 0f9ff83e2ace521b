"""Looking at Redis Streams from outside."""

from collections.abc import Sequence
from typing import TypeVar, cast

from redis.asyncio import Redis

from signalbox.bus.consumer import Consumer, Entry
from signalbox.messages.events import Event, TaskRan, TaskReceived, TaskStarted, TaskSucceeded
from support.eventually import eventually

E = TypeVar("E", bound=Event)

#: Milliseconds for a read that is expected to find nothing.
BRIEFLY = 20


def parts_of(event: E) -> Sequence[E | TaskReceived | TaskStarted | TaskSucceeded]:
    """The events of a whole run; of all others the event itself."""
    return event.events() if isinstance(event, TaskRan) else (event,)


async def fields_on(redis: Redis, stream: str) -> list[dict[bytes, bytes]]:
    """The fields of every entry of a stream, in order."""
    rows = cast("list[tuple[bytes, dict[bytes, bytes]]]", await redis.xrange(stream))
    return [fields for _, fields in rows]


async def somebody_waits(redis: Redis) -> None:
    """Return once a client waits in a blocking read."""

    async def look() -> bool:
        return int((await redis.info("clients"))["blocked_clients"]) > 0

    await eventually(look, "a blocked reader")


async def read_all(consumer: Consumer) -> list[Entry]:
    """Read until nothing comes."""
    found: list[Entry] = []
    quiet = 0
    while quiet < 2:  # the first read of a new group only makes the group
        entries = await consumer.read(BRIEFLY)
        found += entries
        quiet = 0 if entries else quiet + 1
    return found
