"""Events into the record: the feed that everything else waits for."""

from collections.abc import Sequence

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.consumer import Consumer, Entry
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_event
from signalbox.messages.events import AnyEvent, CommandDone
from signalbox.messages.receipts import Recorded
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.feed import CLAIM_AFTER_MS, Feed, Told, Writer
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.text import without_nul
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import write_batch

#: Events in one transaction at most; more are hardly faster, and keep others waiting.
BATCH = 1000


def intake(redis: Redis, database: Database, member: str, intents: Intents) -> Feed[AnyEvent]:
    """The feed of events; `member` names this reconciler in the group."""
    consumer = Consumer(redis, names.EVENTS, names.RECONCILER_GROUP, member, batch=BATCH, claim_after_ms=CLAIM_AFTER_MS)
    return Feed("events", redis, consumer, database, _decode, _writing(intents), batch=BATCH)


def _decode(entry: Entry) -> AnyEvent:
    event: AnyEvent = decode_event(without_nul(entry.data))
    return event


def _writing(intents: Intents) -> Writer[AnyEvent]:
    async def write(connection: Connection, messages: Sequence[AnyEvent], *, again: bool) -> Told:
        batch = fold(messages)
        shown = await write_batch(connection, batch, again=again)
        await intents.keep(connection, [row.command_id for row in batch.commands.values() if row.task_ids])
        now = utc_now()
        receipts = [
            Recorded(command_id=event.command_id, at=now, host=event.host)
            for event in messages
            if isinstance(event, CommandDone)
        ]
        return Told(shown.changes(), receipts)

    return write
