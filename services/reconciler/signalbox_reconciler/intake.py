"""Intake of events: the feed that folds them into the record."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.confirmations import Confirmation
from signalbox.bus.consumer import Entry
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_event
from signalbox.messages.events import AnyEvent, CommandDone, HostSeen
from signalbox.messages.receipts import Recorded
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.feed import Feed, Publication, without_nul
from signalbox_reconciler.fold import fold
from signalbox_reconciler.fold.confirmations import Numbers, arrived, numbers_of
from signalbox_reconciler.fold.repeats import Repeats, split
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import write_batch
from signalbox_reconciler.store.confirmations import add_confirmations

#: Most events in one transaction; larger batches are hardly faster, and hold locks longer.
BATCH = 1000


#: Seconds between two reads while there is less than a batch: a transaction costs as much as some ten events.
GATHER = 0.05
#: Seconds after a command in which a proof may come, which must not wait.
PROOF_WITHIN = 10.0


class Taken(msgspec.Struct, frozen=True):
    """An event from the bus, with its number."""

    event: AnyEvent
    numbers: Numbers | None


def event_feed(
    redis: Redis,
    database: Database,
    member: str,
    intents: Intents,
    commanded_at: Callable[[], float] = lambda: math.inf,
) -> Feed[Taken]:
    """The feed of events; `member` names this reconciler in the group.

    `commanded_at` answers the monotonic time of the latest command. Of several reconcilers the one that has read a
    command waits for its proof, and takes it while the others gather.
    """

    def gather() -> float:
        return 0.0 if time.monotonic() - commanded_at() < PROOF_WITHIN else GATHER

    repeats = Repeats()
    write = partial(_write, intents, repeats)
    return Feed(
        names.EVENTS,
        member,
        redis,
        database,
        _decode,
        write,
        batch=BATCH,
        give_up=_give_up,
        gather=gather,
        may_wait=lambda taken: isinstance(taken.event, HostSeen) and repeats.repeated(taken.event),
    )


def _decode(entry: Entry) -> Taken:
    return Taken(decode_event(without_nul(entry.data)), numbers_of(entry.numbers))


async def _give_up(connection: Connection, entry: Entry) -> None:
    """Confirm an event that nobody can read, or its host would tell it for ever."""
    if numbers := numbers_of(entry.numbers):
        await add_confirmations(connection, arrived([numbers], ()))


async def _write(
    intents: Intents, repeats: Repeats, connection: Connection, messages: Sequence[Taken], redelivered: bool
) -> Publication:
    events = [taken.event for taken in messages]
    repeats.forget(events)
    repeated, others = ([], events) if redelivered else split(events, repeats)
    batch = fold(others)
    changed = await write_batch(connection, batch, redelivered=redelivered, repeated=repeated)
    await intents.keep(connection, batch.commands.values())
    now = utc_now()
    done = (event for event in events if isinstance(event, CommandDone))
    receipts = [Recorded(command_id=event.command_id, at=now, host=event.host) for event in done]
    whole = [*batch.snapshots.values()]
    telling = whole + [seen for seen in repeated if not repeats.complete(seen)]
    confirmations = await _confirm(connection, messages, telling)
    return Publication(
        changed.changes(), receipts, confirmations, partial(_remember, repeats, whole, telling, confirmations)
    )


async def _confirm(
    connection: Connection, messages: Sequence[Taken], heartbeats: Sequence[HostSeen]
) -> Sequence[Confirmation]:
    """Note the numbers of these messages; return what the hosts of these heartbeats are to be told."""
    heard = arrived(filter(None, (taken.numbers for taken in messages)), heartbeats)
    announced = {one.epoch for one in heard if one.host}
    return [one for one in await add_confirmations(connection, heard) if one.epoch in announced]


def _remember(
    repeats: Repeats, whole: Iterable[HostSeen], telling: Iterable[HostSeen], confirmations: Iterable[Confirmation]
) -> None:
    confirmed = {one.epoch: one.confirmed for one in confirmations}
    for seen in whole:
        repeats.remember(seen)
    for seen in telling:
        if seen.numbers and confirmed.get(seen.numbers.epoch, -1) >= seen.numbers.last:
            repeats.remember_complete(seen)
