"""Intake of events: the feed that folds them into the record."""

from collections.abc import Sequence
from functools import partial

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.consumer import Entry
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_event
from signalbox.messages.events import AnyEvent, CommandDone
from signalbox.messages.receipts import Recorded
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.feed import Feed, Publication, without_nul
from signalbox_reconciler.fold import fold
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import write_batch

#: Most events in one transaction; larger batches are hardly faster, and hold locks longer.
BATCH = 1000


def event_feed(redis: Redis, database: Database, member: str, intents: Intents) -> Feed[AnyEvent]:
    """The feed of events; `member` names this reconciler in the group."""
    return Feed(names.EVENTS, member, redis, database, _decode, partial(_write, intents), batch=BATCH)


def _decode(entry: Entry) -> AnyEvent:
    event: AnyEvent = decode_event(without_nul(entry.data))
    return event


async def _write(
    intents: Intents, connection: Connection, messages: Sequence[AnyEvent], redelivered: bool
) -> Publication:
    batch = fold(messages)
    changed = await write_batch(connection, batch, redelivered=redelivered)
    await intents.keep(connection, [row.command_id for row in batch.commands.values() if row.task_ids or row.allows])
    now = utc_now()
    done = (event for event in messages if isinstance(event, CommandDone))
    receipts = [Recorded(command_id=event.command_id, at=now, host=event.host) for event in done]
    return Publication(changed.changes(), receipts)
