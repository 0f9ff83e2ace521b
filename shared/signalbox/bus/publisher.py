"""Publisher of commands, events, receipts and changes: writes to the streams."""

from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.typing import EncodableT, FieldT

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.messages.codec import encode, sign
from signalbox.messages.commands import Command
from signalbox.messages.events import Event
from signalbox.messages.receipts import Receipt
from signalbox.messages.views import Change

#: Entries that a stream holds at most, should nobody read it: a bound for Redis' memory, not a plan.
EVENTS_LENGTH = 2_000_000
COMMANDS_LENGTH = 100_000
CHANGES_LENGTH = 50_000
#: Seconds that receipts are kept for whoever gave the command.
RECEIPTS_TTL = 300
#: Changes in one step: Redis does nothing else meanwhile (some 2 ms).
AT_ONCE = 100

#: One command for many entries: packing and answering each of them costs ten times what Redis needs.
_ADD_ALL = """
for i = 2, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'data', ARGV[i]) end
"""
#: The same for entries with numbers, which are empty where there are none.
_ADD_NUMBERED = """
for i = 2, #ARGV, 2 do
    if ARGV[i + 1] == '' then
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'data', ARGV[i])
    else
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'data', ARGV[i], 'numbers', ARGV[i + 1])
    end
end
"""


class EventEntry(msgspec.Struct, frozen=True):
    """An encoded event, and its number: the epoch, the number, and the last of several that it stands for."""

    data: bytes
    numbers: bytes = b""


async def publish_command(redis: Redis, key: str, command: Command) -> None:
    """Sign a command and put it on the bus.

    Raises:
        BusUnavailable: it is not certain that the command was published.
    """
    data = encode(command)
    fields: dict[FieldT, EncodableT] = {"data": data, "sig": sign(key, data)}
    async with bus_errors(redis):
        await redis.xadd(names.COMMANDS, fields, maxlen=COMMANDS_LENGTH, approximate=True)


async def publish_events(redis: Redis, events: Iterable[Event], receipts: Sequence[Receipt] = ()) -> None:
    """Put events on the bus in their order, and with them the receipts that rest on them, all or nothing.

    Raises:
        BusUnavailable: it is not certain that they were published; publish them again.
    """
    await publish_entries(redis, (EventEntry(encode(event)) for event in events), receipts)


async def publish_entries(redis: Redis, entries: Iterable[EventEntry], receipts: Sequence[Receipt] = ()) -> None:
    """Put encoded events on the bus, as `publish_events` does.

    Raises:
        BusUnavailable: it is not certain that they were published; publish them again.
    """
    types = {names.receipts(receipt.command_id): "stream" for receipt in receipts}
    fields = [field for entry in entries for field in (entry.data, entry.numbers)]
    async with bus_errors(redis, types), redis.pipeline(transaction=bool(receipts)) as pipe:
        if fields:
            pipe.eval(_ADD_NUMBERED, 1, names.EVENTS, EVENTS_LENGTH, *fields)
        queue_receipts(pipe, receipts)
        await pipe.execute()


def queue_receipts(pipe: Pipeline, receipts: Iterable[Receipt]) -> None:
    """Put receipts into a pipeline that the caller executes."""
    for receipt in receipts:
        stream = names.receipts(receipt.command_id)
        pipe.xadd(stream, {b"data": encode(receipt)})
        pipe.expire(stream, RECEIPTS_TTL)


async def publish_changes(redis: Redis, changes: Iterable[Change]) -> None:
    """Publish committed changes to every api replica; a lost change is repaired by the next list that is read."""
    async with bus_errors(redis), redis.pipeline(transaction=False) as pipe:
        queue_changes(pipe, changes)
        await pipe.execute()


def queue_changes(pipe: Pipeline, changes: Iterable[Change]) -> None:
    """Put committed changes into a pipeline that the caller executes."""
    encoded = map(encode, changes)
    while portion := list(islice(encoded, AT_ONCE)):
        pipe.eval(_ADD_ALL, 1, names.CHANGES, CHANGES_LENGTH, *portion)
