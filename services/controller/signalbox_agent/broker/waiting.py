"""Messages that wait at a broker: `python -m signalbox_agent.broker.waiting` looks for those of given tasks.

Run by the controller in the environment of an application, as `restore` is. It takes nothing and changes nothing. Its
cost is bounded: of a queue that is longer than `LONGEST` only what is taken next is read, and the rest is not known. A
broker that does not show its messages (AMQP) is asked for their number: where none waits, and nobody else consumes,
there is none.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from signalbox_agent.broker.envelope import ids_of
from signalbox_agent.celery_compat import redis_broker
from signalbox_agent.tasks.ids import key_of

#: Seconds that all of it may take.
DEADLINE = 20
#: Messages of one queue, and of the hash of unacknowledged ones, that are read; and those read in one go.
LONGEST, PAGE = 20_000, 500
#: Keys of Redis that are looked through for queues that the application does not name.
KEYS = 20_000
#: The beginning of the key under which kombu notes the queues of an exchange; their names follow the last separator.
BINDINGS, SEPARATOR = "_kombu.binding.", "\x06\x16"


class Listing:
    """The tasks that were found, and how much of the broker was read."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = frozenset(wanted)
        self.found: set[str] = set()
        #: The queues of which all messages were read, or that are empty.
        self.read: set[str] = set()
        #: Whether there may be other queues, with messages of these tasks.
        self.others = True

    def take(self, raws: Iterable[Any]) -> None:
        """Take in messages, in the form in which the transport keeps them."""
        for raw in raws:
            if isinstance(raw, dict):
                self.found.update(self._wanted.intersection(map(key_of, ids_of(raw))))


class RedisQueues:
    """The queues of a Redis broker, as one channel of kombu's knows them."""

    def __init__(self, channel: Any, listing: Listing) -> None:
        from redis import Redis

        self._channel, self._listing = channel, listing
        self._prefix = channel.global_keyprefix or ""
        self._redis: Any = Redis(connection_pool=channel.pool)  # not kombu's client, which prefixes some commands only

    def look(self, queues: Iterable[str]) -> None:
        """Look through queues first, then through what was taken from them: a message moves that way."""
        every = self._every_queue()
        self._listing.others = every is None
        complete = {queue for queue in {*queues, *(every or ())} if self._read(queue)}
        if self._read_unacked():
            self._listing.read |= complete

    def _every_queue(self) -> set[str] | None:
        """All queues that are bound to an exchange; None where there are too many keys to look through."""
        if self._redis.dbsize() > KEYS:
            return None
        found: set[str] = set()
        for key in self._redis.scan_iter(f"{self._prefix}{BINDINGS}*", count=PAGE):
            found.update(member.decode().rpartition(SEPARATOR)[2] for member in self._redis.smembers(key))
        return found

    def _read(self, queue: str) -> bool:
        """Read a queue; answer whether that was all of it."""
        keys = [self._prefix + key for key in redis_broker.queue_keys(self._channel, queue)]
        complete = [self._read_list(key) for key in keys]  # each is read, whatever the others are
        return all(complete)

    def _read_list(self, key: str) -> bool:
        """Read from the end at which messages arrive: what is taken meanwhile, at the other end, moves nothing."""
        if self._redis.llen(key) > LONGEST:
            self._listing.take(_decoded(self._redis.lrange(key, -PAGE, -1)))
            return False
        for start in range(0, 2 * LONGEST, PAGE):
            page = self._redis.lrange(key, start, start + PAGE - 1)
            self._listing.take(_decoded(page))
            if len(page) < PAGE:
                return True
        return False

    def _read_unacked(self) -> bool:
        name = self._prefix + redis_broker.unacked_keys(self._channel)[0]
        if self._redis.hlen(name) > LONGEST:
            return False
        for _, value in self._redis.hscan_iter(name, count=PAGE):
            self._listing.take(raw[0] for raw in _decoded([value]) if isinstance(raw, list) and raw)
        return True


def _decoded(texts: Iterable[bytes]) -> Iterator[Any]:
    for text in texts:
        with suppress(ValueError):
            yield json.loads(text)


def count_messages(channel: Any, queues: Iterable[str], consumers: dict[str, int], listing: Listing) -> None:
    """Ask an AMQP broker how many messages wait, and how many consume: nobody knows what others' consumers hold."""
    for queue in queues:
        _, messages, consuming = channel.queue_declare(queue, passive=True)
        if not messages and consuming <= consumers.get(queue, 0):
            listing.read.add(queue)


def main() -> None:
    """Input: `app`, `queues` with the number of our consumers, `ids`. Output: `found`, `read`, `others`."""
    from celery.app.utils import find_app

    signal.alarm(DEADLINE)
    order = json.load(sys.stdin)
    sys.path.insert(0, os.getcwd())
    app = find_app(order["app"])
    listing = Listing(order["ids"])
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        if redis_broker.keeps_unacked(channel):
            RedisQueues(channel, listing).look(order["queues"])
        elif connection.transport.driver_type == "amqp":
            count_messages(channel, order["queues"], order["queues"], listing)
    result = {"found": sorted(listing.found), "read": sorted(listing.read), "others": listing.others}
    sys.stdout.write(f"\n{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
