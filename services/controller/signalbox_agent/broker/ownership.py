"""Ownership of messages: marks on those that this worker has taken from a broker that does not notice its death.

Kombu's Redis transport pops a message and writes it into a hash (`unacked`) and an index (its time) that all
workers share; after a visibility time-out, an hour by default, any of them gives it back. Nothing in there says
whose it is. So each message gets a mark: the instance that holds it, and since when. The next worker that
takes it writes a mark of its own. `restore` reads the marks of a worker that is dead.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from time import time
from typing import Any

from signalbox_agent.celery_compat import redis_broker
from signalbox_agent.safety import guarded

#: The property of a message with its mark; kombu keeps properties that it does not know.
MARK = "signalbox"


class MessageOwnership:
    """The marks of one worker."""

    def __init__(self, instance: str, begun: Callable[[], None]) -> None:
        """`begun` is called as soon as messages may have to be given back by somebody else."""
        self._instance = instance
        self._begun = begun
        self._channel: Callable[[], Any] = lambda: None
        self._channels = 0

    @property
    def ours(self) -> bool:
        """Whether unacknowledged messages stay with this worker when it dies, and are not given back yet."""
        return self._channels > 0 and not self._settled()

    def _settled(self) -> bool:
        """Whether all is acknowledged or given back, for certain: a connection that broke may have left something."""
        channel = self._channel()
        if self._channels > 1 or (channel is not None and not channel.closed):
            return False
        return channel is None or not redis_broker.has_unacked(channel)

    @guarded
    def take(self, channel: Any) -> None:
        """Mark all messages that come through this channel, if its broker needs it: AMQP gives back by itself."""
        if not redis_broker.keeps_unacked(channel):
            return
        append, instance = channel.qos.append, self._instance

        def marking(message: Any, delivery_tag: str) -> None:
            with contextlib.suppress(Exception):  # unmarked, it is as it would be without us
                redis_broker.add_property(message, MARK, [instance, time()])
            append(message, delivery_tag)

        channel.qos.append = marking
        self._channel = weakref.ref(channel)
        self._channels += 1
        self._begun()

    @guarded
    def close(self) -> None:
        """Stop taking messages; to be called on Celery's own thread, before a drain or a KILL.

        A message that Redis pops for a dead worker would be lost, as the worker itself writes it into the hash. So our
        half of the connection of BRPOP is closed; messages that Redis had sent by then are read, and go back.
        """
        channel = self._channel()
        if channel is not None and not channel.closed:
            redis_broker.stop_consuming(channel)
