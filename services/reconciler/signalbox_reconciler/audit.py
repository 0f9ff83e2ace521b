"""Audit of commands: who asked for what is recorded before, or while, the hosts carry it out."""

from collections.abc import Sequence
from functools import partial

from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.consumer import Entry
from signalbox.errors import BadSignature
from signalbox.messages.codec import decode_command, verify
from signalbox.postgres.pool import Connection, Database
from signalbox_reconciler.feed import Feed, Publication, without_nul
from signalbox_reconciler.fold.commands import CommandRow, audit, audit_forged
from signalbox_reconciler.intents import Intents
from signalbox_reconciler.store import write_commands
from signalbox_reconciler.store.forgotten import forget_answers

BATCH = 100


def command_feed(redis: Redis, database: Database, member: str, key: str, intents: Intents) -> Feed[CommandRow]:
    """The feed of commands; `key` verifies their signatures."""
    return Feed(names.COMMANDS, member, redis, database, partial(_decode, key), partial(_write, intents), batch=BATCH)


def _decode(key: str, entry: Entry) -> CommandRow:
    command = decode_command(without_nul(entry.data))
    try:
        verify(key, entry.data, entry.signature)
    except BadSignature:
        return audit_forged(command, entry.position.decode())
    return audit(command)


async def _write(
    intents: Intents, connection: Connection, messages: Sequence[CommandRow], redelivered: bool
) -> Publication:
    changed = await write_commands(connection, messages, redelivered=redelivered)
    await intents.keep(connection, messages)
    return Publication(changed.changes(), await forget_answers(connection, messages))
