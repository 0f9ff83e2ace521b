"""Confirmations in Redis: how many of a controller's events the record has.

Only a hint: PostgreSQL has the truth, and it is written again with each heartbeat of the host.
"""

import logging
from collections.abc import Iterable
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from signalbox.bus import names
from signalbox.bus.connection import bus_errors
from signalbox.errors import UnreadableMessage
from signalbox.lines import reader

log = logging.getLogger(__name__)

#: Seconds for which one is kept.
CONFIRMATION_TTL = 3600


class Confirmation(msgspec.Struct, frozen=True, kw_only=True):
    """What the record has of the events that one start of a controller has numbered."""

    epoch: str
    #: It has every event up to this number.
    confirmed: int
    #: It lacks events, of those up to this number; 0: none.
    missing_up_to: int = 0


_decode = reader(msgspec.json.Decoder(Confirmation))


def queue_confirmations(pipe: Pipeline, confirmations: Iterable[Confirmation]) -> None:
    """Put confirmations into a pipeline that the caller executes."""
    for confirmation in confirmations:
        key = names.confirmed(confirmation.epoch)
        pipe.set(key, msgspec.json.encode(confirmation), ex=CONFIRMATION_TTL)


async def read_confirmation(redis: Redis, epoch: str) -> Confirmation | None:
    """What the record has of this epoch; None: not known.

    Raises:
        BusUnavailable: Redis is away.
    """
    key = names.confirmed(epoch)
    async with bus_errors(redis, {key: "string"}):
        found = await redis.get(key)
    try:
        confirmation: Confirmation | None = _decode(cast("bytes", found)) if found else None
    except UnreadableMessage as error:
        log.warning("%s is unreadable, and ignored: %s", key, error)
        return None
    return confirmation if confirmation and confirmation.epoch == epoch else None
