"""Restore messages that dead workers had taken from a Redis broker: `python -m signalbox_agent.broker.restore`.

Run by the controller in the environment of the worker that died, so that the user's own application says where the
broker is, and kombu how its queues are kept. Reads a JSON object from standard input and writes one as the last line
of its output: see `main`. Needs no mark to be right: an entry that changed since it was read is left alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from signalbox_agent.broker.envelope import mapping, run_of
from signalbox_agent.broker.ownership import MARK
from signalbox_agent.celery_compat import redis_broker
from signalbox_agent.tasks.ids import key_of

#: Seconds that all of it may take.
DEADLINE = 60
#: Entries that Redis scans in one go.
LOOK = 500
#: Seconds between a mark and kombu's own note of the time, which it makes right after; one that is much later was
#: made by a worker without an agent, which has taken the message since, mark and all.
SINCE = 0.5

#: Moves an entry back to its queues, or only removes it, unless it is not what it was. A script that fails on its way
#: keeps what it has done, so all that can fail comes first.
MOVE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
for i = 3, #KEYS do
    local kind = redis.call('TYPE', KEYS[i]).ok
    if kind ~= 'none' and kind ~= 'list' then return KEYS[i] .. ' is no queue but a ' .. kind end
end
for i = 3, #KEYS do redis.call('RPUSH', KEYS[i], ARGV[i]) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""


class Odd(Exception):
    """A message that cannot be given back."""


class Entry:
    """A message that a dead worker had not acknowledged."""

    def __init__(self, tag: bytes, value: bytes, instance: str, score: float) -> None:
        self.tag = tag
        self.value = value
        self.instance = instance
        self.score = score
        self.raw, self.exchange, self.routing_key = json.loads(value)
        del self.raw["properties"][MARK]
        # Kombu notes in there that it was delivered before.
        self.raw["headers"] = mapping(self.raw.get("headers"))
        task_id, self.retries = run_of(self.raw)
        self.task_id = key_of(task_id)
        self.redelivered = bool(self.raw["headers"].get("redelivered"))


class Pushes:
    """Stands in for a pipeline, to learn from kombu where a message has to go."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.payloads: list[str] = []

    def rpush(self, key: str, payload: str) -> None:
        """Called by kombu; the end of the list is taken next."""
        self.keys.append(key)
        self.payloads.append(payload)

    lpush = rpush


class Broker:
    """The hash and the index, as one channel of kombu's knows them."""

    def __init__(self, channel: Any) -> None:
        from redis import Redis

        self._channel = channel
        self._prefix = channel.global_keyprefix or ""
        self._redis = Redis(connection_pool=channel.pool)  # not kombu's client, which prefixes some commands only
        self._hash, self._index = (self._prefix + key for key in redis_broker.unacked_keys(channel))
        #: The messages that were left alone.
        self.odd: set[bytes] = set()

    def unacked_of(self, instances: set[str]) -> list[Entry]:
        """Entries of these instances; the newest first, as the message that is pushed last is taken next."""
        found = {entry.tag: entry for entry in self._marked(instances)}
        return sorted(found.values(), key=lambda entry: entry.score, reverse=True)

    def _marked(self, instances: set[str]) -> Iterator[Entry]:
        wanted = [instance.encode() for instance in instances]
        for tag, value in self._redis.hscan_iter(self._hash, count=LOOK):
            if any(instance in value for instance in wanted):
                with self.leaving_alone(tag):
                    yield from self._read(tag, value, instances)

    def _read(self, tag: bytes, value: bytes, instances: set[str]) -> Iterator[Entry]:
        mark = json.loads(value)[0]["properties"].get(MARK)
        if not mark or mark[0] not in instances:
            return
        score = self._redis.zscore(self._index, tag)
        if score is not None and 0 <= score - mark[1] <= SINCE:
            yield Entry(tag, value, mark[0], score)

    @contextmanager
    def leaving_alone(self, tag: bytes) -> Iterator[None]:
        """Leave a message alone that is not as messages are, and tell of it; a broker that fails is another matter."""
        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever somebody has put in there
            self.odd.add(tag)
            name = repr(tag.decode(errors="replace"))
            sys.stderr.write(f"Signalbox: message {name} in {self._hash!r} is left alone: {error!r}\n")

    def give_back(self, entry: Entry) -> bool:
        """To its queue; answers whether it was still where it had been."""
        pushes = Pushes()
        redis_broker.push_back(self._channel, entry.raw, entry.exchange, entry.routing_key, pushes)
        if not pushes.keys:
            raise Odd(f"no queue takes what is sent to {entry.exchange!r} with the key {entry.routing_key!r}")
        return self._move(entry, [self._prefix + key for key in pushes.keys], pushes.payloads)

    def forget(self, entry: Entry) -> bool:
        """Acknowledge it in the name of the dead."""
        return self._move(entry, [], [])

    def _move(self, entry: Entry, queues: list[str], payloads: list[str]) -> bool:
        keys = (self._hash, self._index, *queues)
        found: Any = self._redis.eval(MOVE, len(keys), *keys, entry.tag, entry.value, *payloads)
        if isinstance(found, bytes):
            raise Odd(found.decode(errors="replace"))
        return bool(found)


def restore_messages(broker: Broker, debts: dict[str, dict[str, list[Any]]]) -> dict[str, int]:
    """Give back all but the tasks that were stopped for good, had ended, or seem to kill their workers.

    One that ran in a worker that died, and had been given back before, is left to the visibility time-out: a task
    that brings down its worker would otherwise go through all workers in seconds. So is one that is odd.
    """
    counts = dict.fromkeys(("restored", "forgotten", "left", "gone"), 0)
    entries = broker.unacked_of(set(debts))
    over = finished(entries, debts)
    for entry in entries:
        with broker.leaving_alone(entry.tag):
            counts[_settle(broker, entry, debts[entry.instance], over=entry in over)] += 1
    return {**counts, "odd": len(broker.odd)}


def _settle(broker: Broker, entry: Entry, debt: dict[str, list[Any]], *, over: bool) -> str:
    """Do with a message what has to be done, and name it."""
    if entry.task_id in debt["forget"] or over:
        return "forgotten" if broker.forget(entry) else "gone"
    if entry.redelivered and entry.task_id in debt["crashed"]:
        return "left"
    return "restored" if broker.give_back(entry) else "gone"


def finished(entries: list[Entry], debts: dict[str, dict[str, list[Any]]]) -> list[Entry]:
    """The messages of runs that had ended: of two with the same id and retries the one that was taken first."""
    left = [(instance, *run) for instance, debt in debts.items() for run in debt.get("finished", ())]
    found = []
    for entry in reversed(entries):
        run = (entry.instance, entry.task_id, entry.retries)
        if run in left:
            left.remove(run)
            found.append(entry)
    return found


def main() -> None:
    """Input: `app`, `queues`, and `debts`.

    These are, by instance, the ids of tasks to `forget`, of those that `crashed`, and of those that had `finished`,
    each with its count of retries.
    """
    from celery.app.utils import find_app

    signal.alarm(DEADLINE)
    order = json.load(sys.stdin)
    sys.path.insert(0, os.getcwd())
    app = find_app(order["app"])
    app.amqp.queues.select(order["queues"])  # none: those of the application
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        counts = {}
        if redis_broker.keeps_unacked(channel):
            app.amqp.TaskConsumer(channel)  # declares the queues: the way back is known then
            counts = restore_messages(Broker(channel), order["debts"])
    sys.stdout.write(f"\n{json.dumps(counts)}\n")


if __name__ == "__main__":
    main()
