"""Kombu's Redis transport (`kombu/transport/redis.py`, `kombu/transport/virtual/base.py`)."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

#: Seconds that a connection to the broker may take to end.
HANG_UP = 0.2


def keeps_unacked(channel: Any) -> bool:
    """Whether what it hands out stays in a hash that outlives the worker; AMQP gives back by itself."""
    return hasattr(channel, "unacked_key") and hasattr(channel.qos, "restore_by_tag")


def has_unacked(channel: Any) -> bool:
    """Whether anything was neither acknowledged nor given back (`QoS._delivered`, `_dirty`)."""
    return bool(set(channel.qos._delivered) - channel.qos._dirty)


def add_property(message: Any, name: str, value: Any) -> None:
    """Add a property to the form in which the message is kept (`Message._raw`)."""
    raw = message._raw
    message._raw = {**raw, "properties": {**raw["properties"], name: value}}


def stop_consuming(channel: Any) -> None:
    """Cancel its consumers, and close our half of the connection on which BRPOP waits, reading what was sent by then.

    There is no half of a TLS connection.
    """
    for tag in list(channel._consumers):
        channel.basic_cancel(tag)
    peer = getattr(getattr(channel, "_in_poll", None), "_sock", None)
    if peer is not None and not isinstance(peer, ssl.SSLSocket):
        peer.settimeout(HANG_UP)
        with contextlib.suppress(Exception):
            peer.shutdown(socket.SHUT_WR)
            channel._brpop_read()


def unacked_keys(channel: Any) -> tuple[str, str]:
    """The hash of what was handed out, and the index of its times."""
    return channel.unacked_key, channel.unacked_index_key


def queue_keys(channel: Any, queue: str) -> list[str]:
    """The lists of a queue, one for each priority (`Channel._q_for_pri`)."""
    return [channel._q_for_pri(queue, priority) for priority in channel.priority_steps]


def push_back(channel: Any, raw: Any, exchange: str, routing_key: str, pipe: Callable[..., Any] | Any) -> None:
    """Have kombu push a message to its queues (`Channel._do_restore_message`)."""
    channel._do_restore_message(raw, exchange, routing_key, pipe)
